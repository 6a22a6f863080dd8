/* onnx_ml.h - what operators of ai.onnx.ml share: attributes, scores and labels
 * (onnx_op_ml.c). */
#ifndef FE_ONNX_ML_H
#define FE_ONNX_ML_H

#include "frontend/onnx_ops.h"

/* a_b */
const char *ml_name(struct onnx_call *c, const char *a, const char *b);
/* Numbers of attribute `name`, a list or a tensor, or of the tensor
 * `name`_as_tensor; none when it is absent. false after a diagnostic. */
bool ml_floats(struct onnx_call *c, const char *name, int64_t *n,
               const double **v);
/* y [rows, targets] plus the numbers of the attribute, one or one a target. */
struct ir_value *ml_add_floats(struct onnx_call *c, struct ir_value *y,
                               const char *name);
/* A post_transform of scores [rows, classes]. */
struct ir_value *ml_post(struct onnx_call *c, struct ir_value *y,
                         const char *post);
/* The number of labels, classlabels_int64s, _ints or _strings. */
int64_t ml_classes(struct onnx_call *c);
/* Outputs 0 and 1: labels of scores [rows, classes], and the scores. One score
 * for two labels is the second's: with `positive`, a probability, whose border
 * is 0.5; with `complement` the first's is 1 less it as well. */
bool ml_classify(struct onnx_call *c, struct ir_value *scores, bool positive,
                 bool complement);

#endif
