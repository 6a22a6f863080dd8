/* seal.h - a checksum behind an ELF file, where linkers and loaders do not
 * look: "dnncXXH3", then XXH3 (64 bits, little-endian) of all bytes before.
 * dnnc writes it, dnnc-run refuses a file whose bytes have another. A file that
 * a linker, strip or objcopy made has none. */
#ifndef CG_SEAL_H
#define CG_SEAL_H

#include <stdbool.h>
#include <stddef.h>

/* Appends the checksum of an open file; false: errno says why. */
bool cg_seal(int fd);
/* Whether a file has no checksum, or the right one. */
bool cg_seal_holds(const void *data, size_t size);

#endif
