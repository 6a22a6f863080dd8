/* onnx_attention.h - heads of attention, for the operators that have some. */
#ifndef FE_ONNX_ATTENTION_H
#define FE_ONNX_ATTENTION_H

#include "frontend/onnx_ops.h"

/* [B,S,H*D] to [B,H,S,D]. */
struct ir_value *ox_split_heads(struct onnx_call *c, struct ir_value *x,
                                int64_t heads);
/* [B,H,S,D] to [B,S,H*D]. */
struct ir_value *ox_join_heads(struct onnx_call *c, struct ir_value *x);
/* Each of the heads repeated, so that there are `heads`. */
struct ir_value *ox_repeat_heads(struct onnx_call *c, struct ir_value *x,
                                 int64_t heads);

/* One call of scaled dot-product attention. */
struct ox_attention {
  struct ir_value *q, *k, *v; /* [B,H,S,D], [B,H,T,D], [B,H,T,E] */
  struct ir_value *allowed;   /* bool, broadcasts to [B,H,S,T]; NULL: all */
  struct ir_value *bias;      /* added to the logits; NULL: none */
  bool guard;                 /* a row may allow nothing: it gives 0 */
  double scale, softcap, masked;
  enum ir_dtype precision;   /* of the softmax */
  struct ir_value *modes[4]; /* raw, capped and masked logits, weights */
};
struct ir_value *ox_attend(struct onnx_call *c, struct ox_attention *a);
/* `allowed` with what a row ORDER of decompose.def lets queries see besides. */
bool ox_order(struct onnx_call *c, struct ox_attention *a,
              struct ir_value *valid, const struct ir_attr *attrs, size_t n);

#endif
