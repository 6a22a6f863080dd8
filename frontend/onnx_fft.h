/* onnx_fft.h - a discrete Fourier transform as ops: a product of small dense
 * ones with rotations between them, and by convolution where the length has a
 * large prime factor. */
#ifndef FE_ONNX_FFT_H
#define FE_ONNX_FFT_H

#include "frontend/onnx_import.h"

/* The transform of x [before, parts, length, behind] along its third dimension:
 * [before, outs, columns, behind], its first `columns` entries. Parts are the
 * real one and, where there are two, the imaginary one. */
struct onnx_fft {
  bool inverse; /* the exponent's sign; `scale` is not implied */
  double scale;
  int64_t before, parts, length, behind;
  int64_t outs, columns;
};
struct ir_value *onnx_fft(struct onnx_call *c, struct ir_value *x,
                          const struct onnx_fft *f);

#endif
