/* parallel.c - dnn_parallel_for() for programs under an operating system: C11
 * atomics and POSIX threads. Objects compiled with --threads=N call it; a
 * program with threads of another kind defines the function and leaves this
 * file out.
 *
 * The process has one pool of workers, made by the first parallel call. The
 * caller opens a gate, takes indices from shared counters as the workers do,
 * closes the gate when all indices are taken, and waits for the workers inside.
 * A worker that wakes late finds the gate closed, and the caller does not wait
 * for it: a core that is busy elsewhere delays the call by at most the indices
 * that its worker holds. Each worker starts with the same share of the indices
 * in every call, since what it wrote in one kernel is in its cache for the
 * next, and then takes from the others' shares. A call that finds the pool in
 * use (nested, or from another thread) runs on its own thread alone. / */
#define _GNU_SOURCE /* sched_getaffinity */
#include "runtime/dnn.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 256, SPIN_NS = 50000, LINE = 64 };
/* The gate: workers inside, whether it is open, and the number of the job. */
enum { INSIDE = 0xfff, OPEN = 0x1000, JOB = 0x2000 };

/* Global, since dnn_parallel_for() takes no handle. */
static struct {
  _Alignas(LINE) atomic_uint gate;
  size_t n; /* the job: written while the gate is closed and no worker inside */
  void (*fn)(void *user, size_t i);
  void *user;
  struct {
    _Alignas(LINE) atomic_size_t next; /* index to take */
  } share[MAX_THREADS];                /* the caller's, then the workers' */
  _Alignas(LINE) atomic_flag used;     /* a caller owns the fields below */
  atomic_uint wanted;                  /* threads, 0: as many as processors */
  pthread_t owner;                     /* the caller's thread, in a job */
  unsigned have;                       /* of `wanted`, 0: no pool yet */
  unsigned nworkers;
  pthread_t worker[MAX_THREADS];
  bool known;           /* handlers of fork() and exit() are registered */
  pthread_mutex_t lock; /* around sleeping and waking */
  pthread_cond_t work, left;
  atomic_uint sleeping; /* workers; */
  atomic_bool waiting;  /* and the caller */
  atomic_bool quit;
} pool = {.used = ATOMIC_FLAG_INIT,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .left = PTHREAD_COND_INITIALIZER};

/* ---- Waiting: spins for SPIN_NS, then sleeps ---- */

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

/* Whether the gate of a job other than `job` (0: none yet) is open, or the pool
 * ends. */
static bool has_work(unsigned gate, unsigned job) {
  return atomic_load(&pool.quit) || ((gate & OPEN) && gate / JOB != job);
}

static void wait_for_work(unsigned job) {
  int64_t start = now();
  do {
    for (int i = 0; i < 16; i++, relax())
      if (has_work(atomic_load(&pool.gate), job))
        return;
    sched_yield(); /* more threads than processors: waiting yields */
  } while (now() - start < SPIN_NS);
  pthread_mutex_lock(&pool.lock);
  atomic_fetch_add(&pool.sleeping, 1);
  while (!has_work(atomic_load(&pool.gate), job))
    pthread_cond_wait(&pool.work, &pool.lock);
  atomic_fetch_sub(&pool.sleeping, 1);
  pthread_mutex_unlock(&pool.lock);
}

static void wake_workers(void) {
  if (!atomic_load(&pool.sleeping))
    return;
  pthread_mutex_lock(&pool.lock);
  pthread_cond_broadcast(&pool.work);
  pthread_mutex_unlock(&pool.lock);
}

static void wait_for_workers(void) {
  int64_t start = now();
  do
    for (int i = 0; i < 16; i++, relax())
      if (!(atomic_load(&pool.gate) & INSIDE))
        return;
  while (now() - start < SPIN_NS);
  pthread_mutex_lock(&pool.lock);
  atomic_store(&pool.waiting, true);
  while (atomic_load(&pool.gate) & INSIDE)
    pthread_cond_wait(&pool.left, &pool.lock);
  atomic_store(&pool.waiting, false);
  pthread_mutex_unlock(&pool.lock);
}

/* ---- Working ---- */

/* The first index of a thread's share of the job. */
static size_t first_index(size_t thread, size_t threads) {
  size_t more = pool.n % threads;
  return pool.n / threads * thread + (thread < more ? thread : more);
}

/* If fn forks, the child returns here too and takes the indices that are left.
 * */
static void take_indices(size_t self) {
  size_t threads = pool.nworkers + 1, i;
  for (size_t k = 0; k < threads; k++) {
    size_t whose = (self + k) % threads, end = first_index(whose + 1, threads);
    atomic_size_t *next = &pool.share[whose].next;
    while (atomic_load(next) < end && (i = atomic_fetch_add(next, 1)) < end)
      pool.fn(pool.user, i);
  }
}

/* Enters the gate if it is open: the number of its job, or 0. */
static unsigned enter(void) {
  unsigned gate = atomic_load(&pool.gate);
  while (gate & OPEN)
    if (atomic_compare_exchange_weak(&pool.gate, &gate, gate + 1))
      return gate / JOB;
  return 0;
}

static void leave(void) {
  unsigned before = atomic_fetch_sub(&pool.gate, 1);
  if ((before & INSIDE) != 1 || !atomic_load(&pool.waiting))
    return;
  pthread_mutex_lock(&pool.lock);
  pthread_cond_signal(&pool.left);
  pthread_mutex_unlock(&pool.lock);
}

static void *work(void *share) {
  size_t self = 1;
  while (share != &pool.share[self])
    self++;
  unsigned job = 0;
  for (;;) {
    wait_for_work(job);
    if (atomic_load(&pool.quit))
      return NULL;
    unsigned entered = enter();
    if (!entered)
      continue;
    job = entered;
    take_indices(self);
    if (!pool.nworkers) /* the child of a fork in a fn: no caller waits */
      return NULL;
    leave();
  }
}

/* ---- The pool ---- */

/* Whether this thread is in the job. */
static bool is_inside(void) {
  pthread_t self = pthread_self();
  bool found = pthread_equal(self, pool.owner);
  for (unsigned i = 0; i < pool.nworkers; i++)
    found = found || pthread_equal(self, pool.worker[i]);
  return found && (atomic_load(&pool.gate) & (OPEN | INSIDE));
}

/* The child of a fork has the thread that forked and no other. If that is in
 * the middle of a job, it keeps the job, and so the pool. */
static void after_fork(void) {
  bool inside = is_inside();
  pool.nworkers = pool.have = 0;
  pthread_mutex_init(&pool.lock, NULL);
  pthread_cond_init(&pool.work, NULL);
  pthread_cond_init(&pool.left, NULL);
  atomic_store(&pool.gate, 0);
  atomic_store(&pool.sleeping, 0);
  atomic_store(&pool.waiting, false);
  if (!inside)
    atomic_flag_clear(&pool.used);
}

static long count_processors(void) {
#ifdef __linux__
  cpu_set_t set;
  if (!sched_getaffinity(0, sizeof set, &set))
    return CPU_COUNT(&set);
#endif
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? n : 1;
}

static unsigned count_threads(unsigned wanted) {
  const char *text = getenv("DNN_THREADS");
  long n = wanted ? (long)wanted : text ? strtol(text, NULL, 10) : 0;
  if (n <= 0)
    n = count_processors();
  return n < MAX_THREADS ? (unsigned)n : MAX_THREADS;
}

static void stop_workers(void) {
  atomic_store(&pool.quit, true);
  pthread_mutex_lock(&pool.lock);
  pthread_cond_broadcast(&pool.work);
  pthread_mutex_unlock(&pool.lock);
  for (unsigned i = 0; i < pool.nworkers; i++)
    pthread_join(pool.worker[i], NULL);
  pool.nworkers = 0;
  atomic_store(&pool.quit, false);
}

/* Creates as many workers as the system allows, with signals blocked. */
static void start_workers(unsigned n) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  while (pool.nworkers < n &&
         !pthread_create(&pool.worker[pool.nworkers], NULL, work,
                         &pool.share[pool.nworkers + 1]))
    pool.nworkers++;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Grows the pool to the wanted number of workers; the caller holds pool.used.
 */
static void fit_pool(void) {
  unsigned wanted = atomic_load(&pool.wanted);
  if (pool.have && pool.have == wanted)
    return;
  unsigned threads = count_threads(wanted);
  /* At exit, or when the shared library that this is in goes, workers end; a
   * call in progress finishes on its own thread. */
  if (!pool.known)
    pool.known =
        !pthread_atfork(NULL, NULL, after_fork) && !atexit(stop_workers);
  if (pool.nworkers != threads - 1) {
    stop_workers();
    start_workers(threads - 1);
  }
  pool.have = threads;
  atomic_compare_exchange_strong(&pool.wanted, &wanted, threads);
}

static void run_shared(size_t n, void (*fn)(void *user, size_t i), void *user) {
  unsigned job = (atomic_load(&pool.gate) / JOB + 1) * JOB;
  pool.n = n;
  pool.fn = fn;
  pool.user = user;
  pool.owner = pthread_self();
  for (size_t t = 0; t <= pool.nworkers; t++)
    atomic_store(&pool.share[t].next, first_index(t, pool.nworkers + 1));
  atomic_store(&pool.gate, (job ? job : JOB) | OPEN);
  wake_workers();
  take_indices(0);
  atomic_fetch_and(&pool.gate, ~(unsigned)OPEN);
  wait_for_workers();
}

void dnn_set_threads(unsigned n) { atomic_store(&pool.wanted, n); }

void dnn_parallel_for(size_t n, void (*fn)(void *user, size_t i), void *user) {
  bool mine = n > 1 && !atomic_flag_test_and_set(&pool.used);
  if (mine)
    fit_pool();
  if (mine && pool.nworkers)
    run_shared(n, fn, user);
  else
    for (size_t i = 0; i < n; i++)
      fn(user, i);
  if (mine)
    atomic_flag_clear(&pool.used);
}
