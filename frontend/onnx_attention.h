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

#endif
