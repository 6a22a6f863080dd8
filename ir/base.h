/* base.h - what every layer stands on: the compile context, arenas, interned
 * strings, growable arrays, a string builder and checked arithmetic.
 *
 * Memory has lifetimes, not frees: an arena is freed as a whole. A compile has
 * one context; its arena lives as long as the compile, and passes make scratch
 * arenas of their own. Running out of memory, or over a limit, is a fatal
 * diagnostic: dn_raise() returns control to the tool's main by longjmp, so no
 * function below main checks an allocation. */
#ifndef DN_BASE_H
#define DN_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define DN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define DN_PRINTF(f, a)
#endif

struct dn_limits {
#define LIMIT(name, def, meaning) int64_t name;
#include "ir/limits.def"
#undef LIMIT
};

struct dn_arena;
struct dn_names;
struct dn_diags;
struct dn_phases;
struct dn_outputs;

/* One compile. No other state is shared between functions. */
struct dn_ctx {
  struct dn_arena *arena;     /* lives as long as the compile */
  struct dn_names *names;     /* interned strings */
  struct dn_names *types;     /* interned types: see ir/type.c */
  struct dn_diags *diags;     /* diagnostics so far: see ir/diag.h */
  struct dn_phases *phases;   /* where time went: see ir/phase.h */
  struct dn_outputs *outputs; /* prepared files: see ir/output.c */
  struct dn_limits limits;
  int64_t allocated; /* bytes in all arenas of this compile */
  jmp_buf *fatal;    /* where dn_raise() goes; NULL: abort() */
};

/* A context with default limits; diagnostics go to `err`. */
struct dn_ctx *dn_ctx_new(FILE *err);
void dn_ctx_free(struct dn_ctx *ctx);

/* Ends the compile after a fatal diagnostic; does not return. */
_Noreturn void dn_raise(struct dn_ctx *ctx);

/* ---- Arenas ---- */
struct dn_arena *dn_arena_new(struct dn_ctx *ctx);
void dn_arena_free(struct dn_arena *arena);
/* Moves all that `from` holds into `arena` and frees `from` itself. */
void dn_arena_adopt(struct dn_arena *arena, struct dn_arena *from);
/* `size` zeroed bytes, aligned to 16; never NULL. */
void *dn_alloc(struct dn_arena *arena, size_t size);
/* count * size zeroed bytes; overflow is a fatal diagnostic. */
void *dn_alloc_array(struct dn_arena *arena, size_t count, size_t size);
#define DN_NEW(arena, type) ((type *)dn_alloc((arena), sizeof(type)))
#define DN_ARRAY(arena, type, n)                                               \
  ((type *)dn_alloc_array((arena), (size_t)(n), sizeof(type)))
/* Gives a block of at least DN_LARGE bytes back before the arena goes; other
 * pointers, and those into other arenas, are left alone. For weights: they are
 * copied as they are transformed, and the copies add up. */
#define DN_LARGE 65536
void dn_release(struct dn_arena *arena, const void *block);
void *dn_copy(struct dn_arena *arena, const void *data, size_t size);
/* A copy of `n` elements, and a zeroed one behind them. */
void *dn_more(struct dn_arena *arena, const void *v, size_t n, size_t size);
/* `n` times the `size` bytes at `item`. */
void dn_fill(void *to, int64_t n, const void *item, size_t size);
char *dn_strndup(struct dn_arena *arena, const char *s, size_t n);
char *dn_printf(struct dn_arena *arena, const char *fmt, ...) DN_PRINTF(2, 3);
char *dn_vprintf(struct dn_arena *arena, const char *fmt, va_list ap);

/* Growable array: `struct { T *v; size_t n, cap; } list = {0};` then
 * DN_PUSH(arena, list, item). Old storage stays in the arena. */
#define DN_LIST(type)                                                          \
  struct {                                                                     \
    type *v;                                                                   \
    size_t n, cap;                                                             \
  }
#define DN_PUSH(arena, list, item)                                             \
  ((list).v =                                                                  \
       dn_grow((arena), (list).v, (list).n, &(list).cap, sizeof *(list).v),    \
   (list).v[(list).n++] = (item))
void *dn_grow(struct dn_arena *arena, void *v, size_t n, size_t *cap,
              size_t size);

/* ---- Interned strings: equal text, equal pointer ---- */
const char *dn_intern(struct dn_ctx *ctx, const char *s);
const char *dn_intern_n(struct dn_ctx *ctx, const char *s, size_t n);
/* Interned record: `bytes` of `size`, compared bytewise (no padding allowed to
 * differ). Used for types. */
const void *dn_intern_record(struct dn_ctx *ctx, const void *rec, size_t size);

/* ---- Tables ---- */
#define DN_COUNT(array) (sizeof(array) / sizeof *(array))
/* The number of the row whose first member, a text, is `text`; -1: none. */
#define DN_FIND(rows, text)                                                    \
  dn_find_row(rows, DN_COUNT(rows), sizeof *(rows), text)
int dn_find_row(const void *rows, size_t n, size_t size, const char *text);

/* By address: of an interned name, or of anything. Start with a zeroed one. */
struct dn_map {
  struct dn_entry {
    const void *key;
    void *value;
  } * slot;
  size_t n, cap;
};
/* The entry of the key; NULL: there is none. */
struct dn_entry *dn_map_find(const struct dn_map *map, const void *key);
/* The same, made with the value NULL when there is none. */
struct dn_entry *dn_map_at(struct dn_arena *arena, struct dn_map *map,
                           const void *key);
void *dn_map_get(const struct dn_map *map, const void *key);
/* false: the key has a value already, and keeps it. */
bool dn_map_put(struct dn_arena *arena, struct dn_map *map, const void *key,
                void *value);

/* ---- String builder; text is always NUL-terminated ---- */
struct dn_buf {
  struct dn_arena *arena;
  char *text;
  size_t len, cap;
};
struct dn_buf dn_buf_new(struct dn_arena *arena);
void dn_buf_put(struct dn_buf *buf, const char *s, size_t n);
void dn_buf_printf(struct dn_buf *buf, const char *fmt, ...) DN_PRINTF(2, 3);
/* Lists of words in rows, as "x w b?" and "lo:f=0 hi:f=6": the word whose name
 * are the `n` bytes at `name`, NULL: none; *k, when not NULL, gets its
 * number. */
const char *dn_word(const char *list, const char *name, size_t n, int *k);
/* The text after the "=" of a word, up to a space; "": it has none. */
const char *dn_word_default(const char *word);
/* Length of the well-formed UTF-8 sequence at s, or 0 (Unicode 15, table 3-7:
 * no overlong forms, no surrogates, nothing above U+10FFFF). */
size_t dn_utf8_length(const char *s, size_t n);
/* `s` with control characters, quotes and invalid UTF-8 escaped as \xHH, as
 * text IR has strings. Controls are also marks of direction: see
 * is_control(). */
void dn_buf_escape(struct dn_buf *buf, const char *s, size_t n);
/* Text from a file for people to read: escaped but for quotes, and of more than
 * `most` bytes the first and the last. */
void dn_buf_show(struct dn_buf *buf, const char *s, size_t most);
enum { DN_SHOWN = 200 };
const char *dn_shown(struct dn_arena *arena, const char *s);
/* As dn_buf_escape(), the first 200 bytes. */
const char *dn_escaped(struct dn_arena *arena, const char *s);
/* The name in a path, without its folders. */
const char *dn_base_name(const char *path);
/* Its folders; "." of a plain name. */
const char *dn_folder(struct dn_ctx *ctx, const char *path);
bool dn_ends_in(const char *s, const char *end);
/* An identifier of C of at most so many characters. */
bool dn_is_identifier(const char *s, size_t most);
/* A copy with letters of ASCII in upper case. */
const char *dn_upper(struct dn_arena *arena, const char *s);

/* ---- Checked arithmetic: false on overflow ---- */
static inline bool dn_add(int64_t a, int64_t b, int64_t *out) {
  return !__builtin_add_overflow(a, b, out);
}
static inline bool dn_mul(int64_t a, int64_t b, int64_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
/* Towards zero, and the nearest where there is none; of NaN the least. */
static inline int64_t dn_int(double x) {
  return x >= 0x1p63 ? INT64_MAX : x > -0x1p63 ? (int64_t)x : INT64_MIN;
}
static inline int64_t dn_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t dn_max(int64_t a, int64_t b) { return a > b ? a : b; }
/* Greatest common divisor, at least 0. */
static inline int64_t dn_gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b, b = rest;
  }
  return a < 0 ? -a : a;
}
/* Floor and ceiling division, b > 0. */
static inline int64_t dn_div_floor(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}
static inline int64_t dn_div_ceil(int64_t a, int64_t b) {
  return a / b + (a % b > 0);
}
static inline int64_t dn_align(int64_t a, int64_t to) {
  return dn_div_ceil(a, to) * to;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t dn_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* ---- Files ---- */
struct dn_file {
  const char *path;
  const uint8_t *data; /* read-only */
  size_t size;
};
/* Maps a regular file, or reads a small one; a directory, a FIFO, a device or a
 * file over the limit is a diagnostic and false. The mapping lives as long as
 * the context. */
bool dn_file_map(struct dn_ctx *ctx, const char *path, struct dn_file *out);
/* The same for an open descriptor, which stays open; `path` is its name. */
bool dn_fd_map(struct dn_ctx *ctx, int fd, const char *path,
               struct dn_file *out);
/* Lets the system drop the resident pages of mapped files; a later read faults
 * them in again. Called after import. */
void dn_files_idle(struct dn_ctx *ctx);
/* Whether all of the mapped files is still there; a diagnostic for each that
 * was cut short, in which reading further is a SIGBUS. */
bool dn_files_whole(struct dn_ctx *ctx);
struct stat;
/* Whether this is a file that was mapped. */
bool dn_is_input(const struct dn_ctx *ctx, const struct stat *st);

/* ---- Output files: see ir/output.c ---- */
/* All bytes to an open file; false: errno says why. */
bool dn_write_all(int fd, const char *data, size_t size);
/* Makes a folder and those above it; they go again when the run fails. */
bool dn_folder_make(struct dn_ctx *ctx, const char *path);
/* Prepares the file `path` ("-" is stdout), which dn_outputs_commit() puts in
 * its place; a failure is a diagnostic and false. `data` of what is no regular
 * file are written only then. */
bool dn_file_write(struct dn_ctx *ctx, const char *path, const void *data,
                   size_t size);
/* The same for a file that another program writes under the name returned. */
const char *dn_file_reserve(struct dn_ctx *ctx, const char *path);
/* True for a device or a pipe (or "-"): it is written to directly, without a
 * temporary file beside it. */
bool dn_file_is_special(const char *path);
/* Puts all prepared files in their places, or none of them. */
bool dn_outputs_commit(struct dn_ctx *ctx);
/* Removes prepared files; dn_ctx_free() does it too. */
void dn_outputs_discard(struct dn_ctx *ctx);

#endif
