/* poly.h - coefficients of the polynomials of math_*.c. Minimax fits by
 * the Remez exchange algorithm (Muller, Elementary Functions, 3rd ed., chapter
 * 3) at 260 bits, then rounded; the bounds given are of the relative error of
 * the function. Of a function that one type alone uses, the other is left out.
 */
#ifndef CG_MATH_POLY_H
#define CG_MATH_POLY_H

#include "codegen/math/build.h"

/* exp(r) = 1 + r + r^2 q(r), |r| <= ln(2)/2; error relative to exp(r) - 1.
 * f32: error 2^-26.1, 2^-26.0 with rounded coefficients.
 * f64: error 2^-55.5, 2^-55.4 with rounded coefficients.
 */
static const struct math_poly math_poly_exp = {
    .n32 = 5,
    .c32 = {0.49999997, 0.166665405, 0.0416673496, 8.36703181e-3,
            1.38825516e-3},
    .n64 = 10,
    .c64 = {0.50000000000000056, 0.16666666666666582, 0.041666666666571706,
            8.333333333392692e-3, 1.3888888933353597e-3, 1.9841269713948549e-4,
            2.4801502994606722e-5, 2.7557409919033249e-6, 2.7626987068871977e-7,
            2.5053826544168851e-8},
};

/* log(1 + f) = f - f^2/2 + f^3 q(f), |f| <= 1/3.
 * f32: error 2^-27.7, 2^-27.7 with rounded coefficients.
 */
static const struct math_poly math_poly_log = {
    .n32 = 8,
    .c32 = {0.333332151, -0.249997869, 0.200104713, -0.166810438, 0.140045688,
            -0.121755697, 0.139918372, -0.129337326},
};

/* atanh(s) = s + s^3/3 + s^5 q(s^2), |s| <= 3 - 2 sqrt(2).
 * f32: error 2^-36.8, 2^-36.8 with rounded coefficients.
 * f64: error 2^-66.3, 2^-66.0 with rounded coefficients.
 */
static const struct math_poly math_poly_atanh = {
    .n32 = 3,
    .c32 = {0.200000763, 0.142735422, 0.117099501},
    .n64 = 7,
    .c64 = {0.20000000000001136, 0.14285714285045592, 0.11111111260768174,
            0.090908921082683961, 0.076933823353054251, 0.066283190526090718,
            0.065990359108407337},
};

/* sin(r) = r + r^3 q(r^2), |r| <= pi/4.
 * f32: error 2^-28.0, 2^-27.8 with rounded coefficients.
 * f64: error 2^-57.9, 2^-57.3 with rounded coefficients.
 */
static const struct math_poly math_poly_sin = {
    .n32 = 3,
    .c32 = {-0.166666538, 8.33213981e-3, -1.95142507e-4},
    .n64 = 6,
    .c64 = {-0.1666666666666663, 8.3333333333219309e-3, -1.9841269829433755e-4,
            2.7557313565442411e-6, -2.5050738725839069e-8,
            1.5895691182790635e-10},
};

/* cos(r) = 1 - r^2/2 + r^4 q(r^2), |r| <= pi/4.
 * f32: error 2^-33.0, 2^-32.9 with rounded coefficients.
 * f64: error 2^-63.9, 2^-58.9 with rounded coefficients.
 */
static const struct math_poly math_poly_cos = {
    .n32 = 3,
    .c32 = {0.0416666456, -1.38873071e-3, 2.44318762e-5},
    .n64 = 6,
    .c64 = {0.041666666666666588, -1.3888888888872789e-3, 2.4801587288679983e-5,
            -2.7557314128442756e-7, 2.0875693767546286e-9,
            -1.1358162192822802e-11},
};

/* asin(s) = s + s^3 q(s^2), |s| <= 1/2.
 * f32: error 2^-27.6, 2^-27.5 with rounded coefficients.
 * f64: error 2^-55.9, 2^-55.8 with rounded coefficients.
 */
static const struct math_poly math_poly_asin = {
    .n32 = 5,
    .c32 = {0.166667521, 0.0749529153, 0.0454715975, 0.0241730344,
            0.0421781316},
    .n64 = 12,
    .c64 = {0.16666666666665403, 0.075000000003386733, 0.044642856826893049,
            0.030381959198507141, 0.022371756524716489, 0.017359728453515036,
            0.013884995306856563, 0.01217082599087119, 6.5208409052867474e-3,
            0.019548185505468541, -0.016256106106429836, 0.03193449528833308},
};

/* atan(t) = t + t^3 q(t^2), |t| <= tan(pi/8).
 * f32: error 2^-30.5, 2^-29.8 with rounded coefficients.
 * f64: error 2^-59.4, 2^-57.3 with rounded coefficients.
 */
static const struct math_poly math_poly_atan = {
    .n32 = 5,
    .c32 = {-0.333333164, 0.199984759, -0.142434731, 0.105934776,
            -0.0607726909},
    .n64 = 11,
    .c64 = {-0.33333333333333198, 0.19999999999953075, -0.14285714280148212,
            0.11111110781194464, -0.09090897696525907, 0.076920591887388354,
            -0.066630930108174363, 0.058478129877907813, -0.050389767707399981,
            0.038056590947684668, -0.017898839144510261},
};

/* sinh(x) = x + x^3 q(x^2), |x| <= 1.
 * f32: error 2^-34.2, 2^-29.5 with rounded coefficients.
 * f64: error 2^-63.3, 2^-56.5 with rounded coefficients.
 */
static const struct math_poly math_poly_sinh = {
    .n32 = 4,
    .c32 = {0.166666672, 8.33334215e-3, 1.98361318e-4, 2.81696043e-6},
    .n64 = 7,
    .c64 = {0.16666666666666669, 8.3333333333331476e-3, 1.9841269841432027e-4,
            2.7557319157020387e-6, 2.5052123145252741e-8,
            1.6057259079438562e-10, 7.7587704287142961e-13},
};

/* erf(x) = x + x q(x^2), |x| <= 1 (f32: 0.876).
 * f32: error 2^-26.8, 2^-26.1 with rounded coefficients.
 * f64: error 2^-56.9, 2^-54.8 with rounded coefficients.
 */
static const struct math_poly math_poly_erf = {
    .n32 = 6,
    .c32 = {0.128379151, -0.376125485, 0.112824447, -0.026790997, 5.03140083e-3,
            -6.19877421e-4},
    .n64 = 12,
    .c64 = {0.12837916709551256, -0.37612638903183521, 0.11283791670944167,
            -0.026866170643108471, 5.2239776060928134e-3,
            -8.5483259280375262e-4, 1.2055293537444346e-4,
            -1.4924711522084937e-5, 1.6447121702225086e-6,
            -1.6206236452600646e-7, 1.3710639120334585e-8,
            -7.7788194501877326e-10},
};

/* log(erfc(x)) = q(x), 0.874 <= x <= 4; error relative to erf(x).
 * f32: error 2^-29.0, 2^-28.6 with rounded coefficients.
 */
static const struct math_poly math_poly_lnerfc = {
    .n32 = 7,
    .c32 = {-1.32353875e-4, -1.12794137, -0.636728168, -0.104335636,
            0.0224242359, -3.0933267e-3, 2.01103379e-4},
};

/* erfc(x) exp(x^2) = q((x - 3) / (x + 3)), 1 <= x <= 6.
 * f64: error 2^-60.6, 2^-53.0 with rounded coefficients.
 */
static const struct math_poly math_poly_erfcx = {
    .n64 = 17,
    .c64 = {0.17900115118138996, -0.32623356004303722, 0.2456038017123309,
            -0.15011593650077595, 0.071665837197975424, -0.024392499318781253,
            4.2691363329797824e-3, 7.0774644321012581e-4,
            -5.9706195105562192e-4, 4.5255208647684416e-5,
            6.4056555347078462e-5, -1.2859431424996541e-5,
            -7.9775961955058213e-6, 2.1129527474682874e-6,
            1.2459817636886772e-6, -2.7040212747064478e-7,
            -2.0459383321811703e-7},
};

#endif
