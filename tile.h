/* tile.h - tile, compiled by dnnc. Made by a program: do not edit.
 *
 * This header and the object that goes with it carry no licence of dnnc: they
 * are under the terms of the model that they were made from.
 *
 * A program that runs it (cc main.c MODEL.o):
 *
 *   #include "tile.h"
 *   int main(void) {
 *     static uint16_t x[17][32][4];
 *     static uint16_t w[1][1][4];
 *     static uint16_t y[17][32][4];
 *     return tile_run(x, w, y, NULL);
 *   }
 */
#ifndef TILE_H
#define TILE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TILE_ARENA_SIZE 0u /* bytes of scratch that the caller provides: none, pass NULL */
#define TILE_ARENA_ALIGN 1u
#define TILE_WEIGHTS_SIZE 2u /* bytes of constants in the object */
#define TILE_STACK_SIZE 144u /* worst-case stack of tile_run, bytes */

#ifndef DNN_OK
#define DNN_OK 0
#define DNN_E_ARENA 1 /* the arena is NULL or misaligned */
#define DNN_E_NULL 2 /* an input or output is NULL */
#define DNN_E_LOOP 3 /* a loop ran longer than its outputs have room for */
#endif

/* Runs the model once; 0, or a DNN_E_ code. Re-entrant: it changes nothing but
 * its outputs and the arena.
 *   x: in f16[17,32,4]
 *   w: in f16[1,1,4]
 *   y: out f16[17,32,4]
 */
#if defined __cplusplus || defined __clang__ || \
    (defined __STDC_VERSION__ && __STDC_VERSION__ >= 202311L)
int tile_run(const uint16_t x[17][32][4], const uint16_t w[1][1][4], uint16_t y[17][32][4], void *arena);
#else /* C before C23 takes no T[] for a const T[] of more dimensions */
int tile_run(const void *x, const void *w, uint16_t y[17][32][4], void *arena);
#endif

/* Names, types, shapes and sizes, for tools: dnn.h of dnnc's runtime has the
 * layout. */
struct dnn_model;
extern const struct dnn_model tile_model;

#ifdef __cplusplus
}
#endif

#endif
