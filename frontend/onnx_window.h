/* onnx_window.h - the sliding window of a convolution or pooling: the
 * attributes that they share, auto_pad and ceil_mode worked out. */
#ifndef FE_ONNX_WINDOW_H
#define FE_ONNX_WINDOW_H

#include "frontend/onnx_import.h"
#include "frontend/window.h"

/* Of a node with `s` spatial dims, channels first, of the sizes given. */
bool ox_window_read(struct onnx_call *c, int s, const int64_t *size,
                    const int64_t *kernel, struct fe_window *out);
bool ox_window_read_transposed(struct onnx_call *c, int s, const int64_t *size,
                               const int64_t *kernel, struct fe_window *out);
/* The convolution of x by w, channels last, without a bias; node attributes as
 * of Conv. */
struct ir_value *ox_conv(struct onnx_call *c, struct ir_value *x,
                         struct ir_value *w);

#endif
