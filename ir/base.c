/* base.c - arenas, interned strings, tables and input files: see base.h. */
#include "ir/base.h"

#include "ir/diag.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* ---- Arenas: a list of chunks, the newest first ---- */

/* The first chunk is smaller: many arenas hold little, and chunks are
 * zeroed. */
enum { FIRST_CHUNK = 4 * 1024, CHUNK = 64 * 1024, ALIGN = 16 };

struct chunk {
  struct chunk *next;
  size_t size, used;
  void *pad; /* keeps the payload aligned to 16 */
};

struct mapping {
  struct mapping *next;
  void *data;
  size_t size;
  const char *path;
  struct stat st; /* as it was mapped */
  bool copied;    /* `data` are its bytes in memory of ours */
};

struct dn_arena {
  struct dn_ctx *ctx;
  struct chunk *chunks;
  struct mapping *maps; /* files mapped for this arena's lifetime */
};

static void out_of_memory(struct dn_ctx *ctx, int64_t want) {
  dn_fatal(ctx, (struct dn_loc){0}, DN_MEMORY,
           "no memory for %lld bytes; %lld are in use", (long long)want,
           (long long)ctx->allocated);
}

struct dn_arena *dn_arena_new(struct dn_ctx *ctx) {
  struct dn_arena *arena = calloc(1, sizeof *arena);
  if (!arena)
    out_of_memory(ctx, (int64_t)sizeof *arena);
  arena->ctx = ctx;
  return arena;
}

void dn_arena_free(struct dn_arena *arena) {
  if (!arena)
    return;
  for (struct chunk *c = arena->chunks, *next; c; c = next) {
    next = c->next;
    arena->ctx->allocated -= (int64_t)c->size;
    free(c);
  }
  for (struct mapping *m = arena->maps, *next; m; m = next) {
    next = m->next;
    munmap(m->data, m->size);
    free(m);
  }
  free(arena);
}

void dn_arena_adopt(struct dn_arena *arena, struct dn_arena *from) {
  assert(arena != from && arena->ctx == from->ctx &&
         "the caller has two arenas of one compile");
  struct chunk **end = &arena->chunks; /* behind the one being filled */
  if (*end)
    end = &(*end)->next;
  struct chunk *rest = *end;
  *end = from->chunks;
  while (*end)
    end = &(*end)->next;
  *end = rest;
  struct mapping **map = &from->maps;
  while (*map)
    map = &(*map)->next;
  *map = arena->maps;
  arena->maps = from->maps;
  free(from);
}

static struct chunk *chunk_new(struct dn_arena *arena, size_t size) {
  struct dn_ctx *ctx = arena->ctx;
  int64_t limit = ctx->limits.memory;
  if ((int64_t)size < 0 || ctx->allocated > limit - (int64_t)size)
    out_of_memory(ctx, (int64_t)size);
  struct chunk *c = calloc(1, sizeof *c + size);
  if (!c)
    out_of_memory(ctx, (int64_t)size);
  c->size = size;
  ctx->allocated += (int64_t)size;
  return c;
}

void *dn_alloc(struct dn_arena *arena, size_t size) {
  if (size > SIZE_MAX / 2)
    out_of_memory(arena->ctx, INT64_MAX);
  size = (size + ALIGN - 1) / ALIGN * ALIGN;
  struct chunk *c = arena->chunks;
  if (!c || c->size - c->used < size) {
    size_t usual = c || size > FIRST_CHUNK ? CHUNK : FIRST_CHUNK;
    struct chunk *fresh = chunk_new(arena, size > CHUNK / 4 ? size : usual);
    if (c && size > CHUNK / 4) { /* keep filling the current chunk */
      fresh->next = c->next;
      c->next = fresh;
    } else {
      fresh->next = c;
      arena->chunks = fresh;
    }
    c = fresh;
  }
  assert(c->size - c->used >= size &&
         "a chunk has room for what it was made for");
  void *p = (char *)(c + 1) + c->used;
  c->used += size;
  return p;
}

void dn_release(struct dn_arena *arena, const void *block) {
  for (struct chunk **c = &arena->chunks; *c; c = &(*c)->next) {
    struct chunk *found = *c;
    if ((const void *)(found + 1) != block || found->size < DN_LARGE ||
        found->used != found->size)
      continue;
    *c = found->next;
    arena->ctx->allocated -= (int64_t)found->size;
    free(found);
    return;
  }
}

void *dn_alloc_array(struct dn_arena *arena, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes))
    out_of_memory(arena->ctx, INT64_MAX);
  return dn_alloc(arena, bytes);
}

void *dn_copy(struct dn_arena *arena, const void *data, size_t size) {
  void *p = dn_alloc(arena, size);
  if (size)
    memcpy(p, data, size);
  return p;
}

void *dn_more(struct dn_arena *arena, const void *v, size_t n, size_t size) {
  char *p = dn_alloc_array(arena, n + 1, size);
  return n ? memcpy(p, v, n * size) : p;
}

void dn_fill(void *to, int64_t n, const void *item, size_t size) {
  for (int64_t i = 0; i < n; i++)
    memcpy((char *)to + (size_t)i * size, item, size);
}

char *dn_strndup(struct dn_arena *arena, const char *s, size_t n) {
  char *p = dn_alloc(arena, n + 1);
  if (n)
    memcpy(p, s, n);
  return p;
}

char *dn_vprintf(struct dn_arena *arena, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  char *p = dn_alloc(arena, (size_t)n + 1);
  vsnprintf(p, (size_t)n + 1, fmt, again);
  va_end(again);
  return p;
}

char *dn_printf(struct dn_arena *arena, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *p = dn_vprintf(arena, fmt, ap);
  va_end(ap);
  return p;
}

void *dn_grow(struct dn_arena *arena, void *v, size_t n, size_t *cap,
              size_t size) {
  assert(n <= *cap && "DN_PUSH() alone adds to a list");
  if (n < *cap)
    return v;
  *cap = n ? 2 * n : 8;
  void *fresh = dn_alloc_array(arena, *cap, size);
  if (n)
    memcpy(fresh, v, n * size);
  return fresh;
}

/* ---- Interned strings: open addressing, hash kept beside the text ---- */

struct name {
  uint64_t hash;
  size_t size;
  const char *text;
};

struct dn_names {
  struct name *slot;
  size_t n, cap; /* cap is a power of two */
};

static void names_grow(struct dn_names *names, struct dn_arena *arena) {
  size_t cap = names->cap ? names->cap * 2 : 256;
  assert(!(cap & (cap - 1)) && "a power of two: hashes are masked");
  struct name *slot = DN_ARRAY(arena, struct name, cap);
  for (size_t i = 0; i < names->cap; i++) {
    if (!names->slot[i].text)
      continue;
    size_t at = names->slot[i].hash & (cap - 1);
    while (slot[at].text)
      at = (at + 1) & (cap - 1);
    slot[at] = names->slot[i];
  }
  names->slot = slot;
  names->cap = cap;
}

static const void *intern(struct dn_ctx *ctx, struct dn_names *names,
                          const void *bytes, size_t size) {
  if (names->n * 2 >= names->cap)
    names_grow(names, ctx->arena);
  assert(names->n * 2 < names->cap &&
         "names_grow() leaves half free: the search ends");
  uint64_t hash = XXH3_64bits(bytes, size);
  size_t at = hash & (names->cap - 1);
  for (; names->slot[at].text; at = (at + 1) & (names->cap - 1)) {
    struct name *s = &names->slot[at];
    if (s->hash == hash && s->size == size && !memcmp(s->text, bytes, size))
      return s->text;
  }
  char *text = dn_strndup(ctx->arena, bytes, size);
  names->slot[at] = (struct name){hash, size, text};
  names->n++;
  return text;
}

const char *dn_intern_n(struct dn_ctx *ctx, const char *s, size_t n) {
  return intern(ctx, ctx->names, s, n);
}

const char *dn_intern(struct dn_ctx *ctx, const char *s) {
  return dn_intern_n(ctx, s, strlen(s));
}

const void *dn_intern_record(struct dn_ctx *ctx, const void *rec, size_t size) {
  return intern(ctx, ctx->types, rec, size);
}

/* ---- Tables ---- */

int dn_find_row(const void *rows, size_t n, size_t size, const char *text) {
  for (size_t i = 0; i < n; i++)
    if (!strcmp(*(const char *const *)((uintptr_t)rows + i * size), text))
      return (int)i;
  return -1;
}

static struct dn_entry *map_slot(const struct dn_map *map, const void *key) {
  uint64_t h = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
  size_t at = (size_t)(h >> 32) & (map->cap - 1);
  while (map->slot[at].key && map->slot[at].key != key)
    at = (at + 1) & (map->cap - 1);
  return &map->slot[at];
}

struct dn_entry *dn_map_find(const struct dn_map *map, const void *key) {
  struct dn_entry *e = map->cap ? map_slot(map, key) : NULL;
  return e && e->key ? e : NULL;
}

struct dn_entry *dn_map_at(struct dn_arena *arena, struct dn_map *map,
                           const void *key) {
  if (2 * map->n >= map->cap) {
    struct dn_map old = *map;
    map->cap = old.cap ? 2 * old.cap : 32;
    map->slot = DN_ARRAY(arena, struct dn_entry, map->cap);
    for (size_t i = 0; i < old.cap; i++)
      if (old.slot[i].key)
        *map_slot(map, old.slot[i].key) = old.slot[i];
  }
  struct dn_entry *e = map_slot(map, key);
  map->n += !e->key;
  e->key = key;
  return e;
}

void *dn_map_get(const struct dn_map *map, const void *key) {
  return map->cap ? map_slot(map, key)->value : NULL;
}

bool dn_map_put(struct dn_arena *arena, struct dn_map *map, const void *key,
                void *value) {
  struct dn_entry *e = dn_map_at(arena, map, key);
  if (e->value)
    return false;
  e->value = value;
  return true;
}

/* ---- The context ---- */

struct dn_ctx *dn_ctx_new(FILE *err) {
  struct dn_ctx *ctx = calloc(1, sizeof *ctx);
  if (!ctx)
    abort();
#define LIMIT(name, def, meaning) ctx->limits.name = def;
#include "ir/limits.def"
#undef LIMIT
  ctx->arena = dn_arena_new(ctx);
  ctx->names = DN_NEW(ctx->arena, struct dn_names);
  ctx->types = DN_NEW(ctx->arena, struct dn_names);
  ctx->diags = dn_diags_new(ctx, err);
  return ctx;
}

void dn_ctx_free(struct dn_ctx *ctx) {
  if (!ctx)
    return;
  dn_outputs_discard(ctx);
  dn_arena_free(ctx->arena);
  free(ctx);
}

_Noreturn void dn_raise(struct dn_ctx *ctx) {
  if (!ctx->fatal)
    abort();
  longjmp(*ctx->fatal, 1);
}

/* ---- Files ---- */

static bool map_failed(struct dn_ctx *ctx, const char *path, const char *why,
                       enum dn_code code) {
  return dn_error(ctx, (struct dn_loc){.file = path}, code, "%s", why);
}

/* Only large files are mapped: when another program truncates a file, its
 * mapped pages are gone, and reading them is a signal. */
enum { MAP_FROM = 4 << 20 };

static void *map_bytes(int fd, size_t size, bool copy) {
  int flags = copy ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE;
  char *data = mmap(NULL, size, copy ? PROT_READ | PROT_WRITE : PROT_READ,
                    flags, copy ? -1 : fd, 0);
  for (size_t at = 0; copy && data != MAP_FAILED && at < size;) {
    ssize_t n = pread(fd, data + at, size - at, (off_t)at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      int error = n ? errno : EIO;
      munmap(data, size);
      errno = error;
      return MAP_FAILED;
    }
    at += (size_t)n;
  }
  return data;
}

bool dn_fd_map(struct dn_ctx *ctx, int fd, const char *path,
               struct dn_file *out) {
  struct mapping map = {.path = dn_intern(ctx, path)};
  struct stat *st = &map.st;
  const char *why = NULL;
  bool large = false;
  if (fstat(fd, st) != 0)
    why = strerror(errno);
  else if (S_ISDIR(st->st_mode))
    why = "is a directory";
  else if (!S_ISREG(st->st_mode))
    why = "is not a regular file";
  else if (st->st_size == 0)
    why = "is empty";
  else if ((large = st->st_size > ctx->limits.file))
    why = "is larger than --limit-file";
  if (why)
    return map_failed(ctx, path, why, large ? DN_LIMIT : DN_FILE_READ);
  map.size = (size_t)st->st_size;
  map.copied = map.size < MAP_FROM;
  map.data = map_bytes(fd, map.size, map.copied);
  if (map.data == MAP_FAILED && errno == ENOMEM)
    out_of_memory(ctx, st->st_size);
  if (map.data == MAP_FAILED)
    return map_failed(ctx, path, strerror(errno), DN_FILE_READ);
  map.next = ctx->arena->maps;
  struct mapping *kept = calloc(1, sizeof *kept);
  if (!kept)
    out_of_memory(ctx, (int64_t)sizeof *kept);
  *kept = map;
  ctx->arena->maps = kept;
  *out = (struct dn_file){map.path, map.data, map.size};
  return true;
}

bool dn_file_map(struct dn_ctx *ctx, const char *path, struct dn_file *out) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return map_failed(ctx, path, strerror(errno), DN_FILE_READ);
  bool ok = dn_fd_map(ctx, fd, path, out);
  close(fd);
  return ok;
}

void dn_files_idle(struct dn_ctx *ctx) {
  for (struct mapping *m = ctx->arena->maps; m; m = m->next)
    if (!m->copied)
      madvise(m->data, m->size, MADV_DONTNEED);
}

bool dn_files_whole(struct dn_ctx *ctx) {
  bool ok = true;
  for (struct mapping *m = ctx->arena->maps; m; m = m->next) {
    struct stat now;
    if (m->copied || stat(m->path, &now) || now.st_dev != m->st.st_dev ||
        now.st_ino != m->st.st_ino || now.st_size >= m->st.st_size)
      continue;
    ok = map_failed(ctx, m->path, "was cut short while it was read",
                    DN_FILE_READ);
  }
  return ok;
}

bool dn_is_input(const struct dn_ctx *ctx, const struct stat *st) {
  for (const struct mapping *m = ctx->arena->maps; m; m = m->next)
    if (m->st.st_dev == st->st_dev && m->st.st_ino == st->st_ino)
      return true;
  return false;
}
