/* The pool of runtime/parallel.c: every index once, whatever else goes on. */
#include "runtime/dnn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1000, CALLERS = 4 };

struct job {
  unsigned char times[MOST]; /* plain memory: a race here is an error */
  size_t nested;
};

static void check(int ok, const char *what) {
  if (!ok) {
    printf("FAIL %s\n", what);
    exit(1);
  }
}

static void count(void *user, size_t i) { ((struct job *)user)->times[i]++; }

static void once(size_t n, const char *what) {
  struct job job = {.nested = 0};
  dnn_parallel_for(n, count, &job);
  for (size_t i = 0; i < MOST; i++)
    check(job.times[i] == (i < n), what);
}

static void sizes(void) {
  for (unsigned threads = 0; threads < 6; threads++) {
    dnn_set_threads(threads);
    for (size_t n = 0; n < 9; n++)
      once(n, "few indices");
    for (int i = 0; i < 200; i++)
      once(MOST, "many indices");
  }
}

/* Workers that have gone to sleep. */
static void pauses(void) {
  dnn_set_threads(3);
  for (int i = 0; i < 30; i++) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    once(20, "after a pause");
  }
}

static void outer(void *user, size_t i) {
  struct job *job = (struct job *)user + i;
  dnn_parallel_for(10, count, job);
}

static void nested(void) {
  struct job jobs[8] = {{.nested = 0}};
  dnn_parallel_for(8, outer, jobs);
  for (int i = 0; i < 8; i++)
    for (int k = 0; k < MOST; k++)
      check(jobs[i].times[k] == (k < 10), "nested");
}

static void *caller(void *unused) {
  (void)unused;
  for (int i = 0; i < 100; i++) {
    if (i % 10 == 0)
      dnn_set_threads(2 + (unsigned)i / 10 % 3);
    once(50, "several callers");
  }
  return NULL;
}

static void callers(void) {
  pthread_t thread[CALLERS];
  for (int i = 0; i < CALLERS; i++)
    check(!pthread_create(&thread[i], NULL, caller, NULL), "a thread");
  for (int i = 0; i < CALLERS; i++)
    pthread_join(thread[i], NULL);
}

static void mark(void *user, size_t i) {
  ((pthread_t *)user)[i] = pthread_self();
  nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* How many threads take part when there is work for all. */
static unsigned count_once(void) {
  pthread_t who[8];
  unsigned different = 0;
  dnn_parallel_for(8, mark, who);
  for (int i = 0; i < 8; i++) {
    int known = 0;
    for (int k = 0; k < i; k++)
      known |= pthread_equal(who[i], who[k]) != 0;
    different += !known;
  }
  return different;
}

/* The most of some tries: on a busy machine one may not come in time. */
static unsigned count_threads(void) {
  unsigned most = 0;
  for (int i = 0; i < 20; i++) {
    unsigned n = count_once();
    most = n > most ? n : most;
  }
  return most;
}

static void takes(unsigned threads) {
  dnn_set_threads(threads);
  check(count_threads() == threads, "as many threads as wanted");
}

/* The child has a pool of its own. */
static void forks(void) {
  int status = 1;
  dnn_set_threads(3);
  once(MOST, "before fork");
  pid_t pid = fork();
  check(pid >= 0, "fork");
  if (!pid) {
    takes(2);
    once(MOST, "in the child");
    exit(0);
  }
  once(MOST, "in the parent");
  check(waitpid(pid, &status, 0) == pid && !status, "the child");
}

/* A fork in the middle of a job, by any of its threads: in the child no index is
 * out of range or done twice, other calls work, and it ends. */
struct fork_job {
  struct job job;
  size_t at;
  int child;
};

static void fork_at(void *user, size_t i) {
  struct fork_job *f = user;
  check(i < MOST, "an index of the job");
  f->job.times[i]++;
  nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
  if (i != f->at || f->child)
    return;
  pid_t pid = fork();
  if (!pid) {
    f->child = 1;
    alarm(20);
    once(50, "a call in the child of a fork in a job");
    return;
  }
  int status = 1;
  check(waitpid(pid, &status, 0) == pid && !status, "the child of a job");
}

static void forks_inside(void) {
  dnn_set_threads(4);
  for (size_t at = 0; at < MOST; at += 123) {
    struct fork_job f = {.at = at};
    dnn_parallel_for(MOST, fork_at, &f);
    for (size_t i = 0; i < MOST; i++)
      check(f.job.times[i] == 1 || (f.child && !f.job.times[i]), "in a fork");
    if (f.child) {
      once(MOST, "after the job");
      exit(0);
    }
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "count"))
    return printf("%u threads\n", count_threads()) < 0;
  sizes();
  pauses();
  nested();
  callers();
  takes(1);
  takes(3);
  if (strcmp(what, "no-fork")) /* of which sanitizers know little */
    forks(), forks_inside();
  printf("PASS\n");
  return 0;
}
