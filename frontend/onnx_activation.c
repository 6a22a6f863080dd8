/* onnx_activation.c - activations that attributes of operators name, as
 * functions of decompose.def. */
#include <math.h>
#include <strings.h>

#include "frontend/onnx_ops.h"

/* The defaults are those of the operators of the same names, as the standard
 * says; Affine and ScaledTanh, operators no more, have ONNX Runtime's. */
static const struct ox_activation activations[] = {
    {"Sigmoid", "sigmoid", {0}, {0}, OX_RECURRENT | OX_FUSED},
    {"Tanh", "tanh", {0}, {0}, OX_RECURRENT | OX_FUSED},
    {"Relu", "relu", {0}, {0}, OX_RECURRENT | OX_FUSED},
    {"Softsign", "softsign", {0}, {0}, OX_RECURRENT},
    {"Softplus", "softplus", {0}, {0}, OX_RECURRENT},
    {"LeakyRelu", "leaky_relu", {"alpha"}, {0.01}, OX_RECURRENT | OX_FUSED},
    {"Elu", "elu", {"alpha"}, {1}, OX_RECURRENT},
    {"ThresholdedRelu", "thresholded_relu", {"alpha"}, {1}, OX_RECURRENT},
    {"HardSigmoid",
     "hard_sigmoid",
     {"alpha", "beta"},
     {0.2, 0.5},
     OX_RECURRENT | OX_FUSED},
    {"Affine", "affine", {"alpha", "beta"}, {0}, OX_RECURRENT},
    {"ScaledTanh", "scaled_tanh", {"alpha", "beta"}, {0}, OX_RECURRENT},
    {"Clip", "clamp", {"lo", "hi"}, {-HUGE_VAL, HUGE_VAL}, OX_FUSED},
};

const struct ox_activation *ox_activation_find(const char *name,
                                               unsigned used) {
  for (size_t i = 0; i < DN_COUNT(activations); i++)
    if ((activations[i].used & used) && !strcasecmp(name, activations[i].name))
      return &activations[i];
  return NULL;
}

const char *ox_activation_text(struct dn_ctx *ctx,
                               const struct ox_activation *a, const double v[2],
                               double clip) {
  const char *x = "x", *attrs = "";
  if (clip > 0)
    x = dn_printf(ctx->arena, "(clamp x {lo=%.17g, hi=%.17g})", -clip, clip);
  for (int i = 0; i < 2 && a->param[i]; i++)
    attrs = dn_printf(ctx->arena, "%s %s=%.17g", attrs, a->param[i], v[i]);
  return dn_intern(ctx,
                   dn_printf(ctx->arena, *attrs ? "(%s %s {%s})" : "(%s %s%s)",
                             a->op, x, attrs));
}
