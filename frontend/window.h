/* window.h - sliding windows of convolutions and pooling, for all formats. */
#ifndef FE_WINDOW_H
#define FE_WINDOW_H

#include "frontend/build.h"

/* Lists of the n spatial dims, which begin at dim `first` of the input. */
struct fe_window {
  int n, first;
  int64_t kernel[IR_MAX_RANK], strides[IR_MAX_RANK], dilations[IR_MAX_RANK];
  int64_t pads[2 * IR_MAX_RANK]; /* begins, then ends */
  int64_t out[IR_MAX_RANK];
  int64_t extra[IR_MAX_RANK]; /* transposed: output_padding */
  /* Pooling with ceil: the model's pads; `pads` may reach further. */
  int64_t model_pads[2 * IR_MAX_RANK];
};

/* Elements from the first to the last that a window reads along dim i. */
int64_t fe_window_reach(const struct fe_window *w, int i);
/* Pads of dim i that give ceil(size / stride) windows, the odd one at the end,
 * or at the beginning. */
void fe_window_pad_same(struct fe_window *w, int i, int64_t size, bool begin);
/* Sets `model_pads` and `out`, for an input of these spatial sizes; `ceil`: a
 * last window may be partial. -1, or the dim along which no window fits. */
int fe_window_fit(struct fe_window *w, const int64_t *size, bool ceil);
/* IR_WINDOW_SUM or IR_WINDOW_MAX of x. */
struct ir_value *fe_pool(struct fe_build *b, enum ir_opcode code,
                         struct ir_value *x, const struct fe_window *w);
/* How many elements of x, of pads of the model too or not, each window has
 * along its dim i: one number, or where they differ a vector along that dim. */
struct ir_value *fe_window_count(struct fe_build *b, enum ir_dtype dtype,
                                 const struct ir_value *x,
                                 const struct fe_window *w, int i,
                                 bool with_pads);
/* The mean of each window, pads of the model included or not. */
struct ir_value *fe_average_pool(struct fe_build *b, struct ir_value *x,
                                 const struct fe_window *w, bool with_pads);

#endif
