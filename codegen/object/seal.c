/* seal.c - see seal.h. */
#include "codegen/object/seal.h"

#include "ir/base.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char magic[8] = {'d', 'n', 'n', 'c', 'X', 'X', 'H', '3'};
enum { HASH = 8, SEAL = sizeof magic + HASH };

static void hash_bytes(const void *data, size_t size, unsigned char *out) {
  uint64_t hash = XXH3_64bits(data, size);
  for (int i = 0; i < HASH; i++)
    out[i] = (unsigned char)(hash >> 8 * i);
}

bool cg_seal(int fd) {
  assert(fd >= 0 && "cg_compile() opened it");
  struct stat st;
  unsigned char seal[SEAL];
  if (fstat(fd, &st) || st.st_size <= 0)
    return false;
  size_t size = (size_t)st.st_size;
  void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return false;
  memcpy(seal, magic, sizeof magic);
  hash_bytes(data, size, seal + sizeof magic);
  munmap(data, size);
  return lseek(fd, 0, SEEK_END) >= 0 &&
         dn_write_all(fd, (const char *)seal, sizeof seal);
}

bool cg_seal_holds(const void *data, size_t size) {
  unsigned char hash[HASH];
  const unsigned char *end = (const unsigned char *)data + size;
  if (size < SEAL || memcmp(end - SEAL, magic, sizeof magic) != 0)
    return true;
  hash_bytes(data, size - SEAL, hash);
  return !memcmp(end - HASH, hash, HASH);
}
