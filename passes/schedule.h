/* schedule.h - the search for an order of nodes with a small peak. */
#ifndef PASS_SCHEDULE_H
#define PASS_SCHEDULE_H

#include "passes/liveness.h"

/* Finds the best order of the `n` nodes at `order`, which run one after the
 * other from state `s`, for n <= SCHED_WINDOW. `peak` is the peak of the order
 * as it is; a better one replaces it, and the peak afterwards is returned. No
 * order has a peak below `floor`. *proven is set when there is no better one;
 * not when the search took more than *budget steps, which are used up. */
enum { SCHED_WINDOW = 64 };
int64_t sched_window(struct live_run *s, int *order, int n, int64_t peak,
                     int64_t floor, int64_t *budget, bool *proven);

/* Replaces `order` (all nodes, in an order that works) by the best one found;
 * returns its peak, and in *bound the least peak that any order can have as far
 * as is known. */
int64_t sched_search(const struct live *l, struct dn_arena *scratch, int *order,
                     int64_t *bound);

#endif
