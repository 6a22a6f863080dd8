/* stats.h - what a module costs, by counting: multiplications, constants and
 * live bytes per layer. Report, description, header and budgets read it. */
#ifndef CG_STATS_H
#define CG_STATS_H

#include "ir/ir.h"

/* A value from outside a layer, and how much of it the layer reads. */
struct cg_reading {
  const struct ir_value *value;
  int64_t bytes;
};

/* One op outside kernels that computes: a kernel, or control flow. */
struct cg_layer {
  const struct ir_op *op;
  const char *name; /* the model's node, of several the one that matters */
  const char *what; /* its ops: "conv+add+relu" */
  int64_t macs; /* points of its CONTRACT ops; of branches, the worst one's */
  int64_t branch[2]; /* those of each, where it is an `if` */
  int64_t macs8;     /* of these, with operands of 8 bits */
  int64_t weights;   /* elements of the constants it reads */
  int64_t weight_bytes;
  int64_t activations;   /* elements of its result */
  int64_t bytes;         /* of its result */
  int64_t read_bytes;    /* of what it reads of values that are not constant */
  int64_t live;          /* arena bytes in use while it runs */
  size_t first, kernels; /* the number of its first kernel, and how many */
  const struct cg_reading *reads; /* constants, too */
  size_t nreads;
};

struct cg_stats {
  DN_LIST(struct cg_layer) layers;
  int64_t macs;
  size_t nkernels;
  int64_t live; /* the greatest of the layers' */
  size_t peak;  /* the layer that has it */
};

/* Of the entry function of any form; `live` needs PLANNED. */
void cg_stats(struct dn_arena *arena, const struct ir_module *m,
              struct cg_stats *out);

/* Turns of what is in `op`, whose own are so many: those of a loop as if it
 * made all. A loop without a limit counts as one turn. */
int64_t cg_turns(int64_t around, const struct ir_op *op);
/* Statistics of one op with its regions, over all iterations; `live` is not
 * set. */
struct cg_layer cg_layer_of(struct dn_arena *arena, const struct ir_op *op);

/* A value that takes arena bytes while layer `index` runs. */
struct cg_live {
  const struct ir_value *value;
  int64_t bytes;
};
/* Those values, largest first; returns how many, at most `max`. */
size_t cg_live_at(struct dn_arena *arena, const struct ir_module *m,
                  size_t index, struct cg_live *out, size_t max);

/* Trained constants as the model has them, before anything is folded: call it
 * on the imported module. Weights are what a contraction multiplies by; biases
 * are the others of more than one element. */
struct cg_params {
  int64_t weights, biases; /* elements */
  int64_t weight_bytes, bias_bytes;
};
struct cg_params cg_count_params(const struct ir_module *m);

#endif
