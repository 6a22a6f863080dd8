/* plan_pack.h - offsets for buffers whose lifetimes are known. */
#ifndef PASS_PLAN_PACK_H
#define PASS_PLAN_PACK_H

#include "ir/base.h"

struct pack_item {
  int64_t size, align;
  int first, last; /* steps in which it lives, both included */
  /* An item that ends where this one begins and may overlap it: this one starts
   * `down` bytes or more below it or `up` or more above it, and together they
   * take `saved` bytes less at least. -1: none. */
  int over;
  int64_t down, up, saved;
  double heat; /* accesses of a byte in a run */
  int64_t at;  /* result */
};

/* Two memories: no item lies on both sides of `split`, and those with most heat
 * are placed first if all then ends at `most` or below. split 0: one memory. */
struct pack_rooms {
  int64_t split, most;
};

/* Gives each item an offset so that items that live at the same time do not
 * overlap, but for `over`; returns the end of the highest. The same items
 * always get the same offsets. */
int64_t pack_items(struct dn_ctx *ctx, struct pack_item *items, int n,
                   struct pack_rooms rooms);

#endif
