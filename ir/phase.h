/* phase.h - where the time of a compile goes: --time-passes. One phase runs at
 * a time, and starting one ends the one before: the table covers all the time
 * from the start of the process, without gaps or overlaps. */
#ifndef DN_PHASE_H
#define DN_PHASE_H

#include "ir/base.h"

struct dn_phase {
  const char *name;
  int64_t ns;
  int64_t changes; /* that a pass made; -1: no pass */
};
struct dn_phases {
  DN_LIST(struct dn_phase) rows; /* in the order in which they began */
  size_t running;                /* index of a row */
  int64_t since;                 /* when it began, ns on the monotonic clock */
  int64_t begin;                 /* when the process did */
};

/* From now on time belongs to the phase `name`, a string that lives as long as
 * the context. A name that was there already goes on in its row, but every run
 * of a pass has a row of its own. */
void dn_phase(struct dn_ctx *ctx, const char *name);
/* Ends the row of a pass that made `changes`. */
void dn_phase_changed(struct dn_ctx *ctx, int64_t changes);
/* Prints the table: ms, share and changes of each row, and the time from the
 * start of the process. The shares sum to 100 %. */
void dn_phases_print(struct dn_ctx *ctx, FILE *out);

#endif
