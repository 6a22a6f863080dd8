/* sizes_points.c - at which sizes a model is imported: points that give each
 * size as a sum of products of parameters, and others to check it by. */
#include "passes/sizes.h"

#include <assert.h>
#include <string.h>

/* The least size that attempt `k` vouches for: where the model is one; 2, as at
 * 1 dimensions broadcast; more and more of the bound. */
static int64_t low_of(const struct sizes *s, int i, int k) {
  int64_t bound = s->at.value[i];
  int64_t part = k < 2 ? k + 1 : bound >> (SIZES_LOWS - k);
  return dn_min(bound, dn_max(part, dn_max(s->least[i], 1)));
}

static void add_lane(struct sizes *s, const struct sizes_lane *l) {
  for (int k = 0; k < s->n; k++)
    if (!memcmp(s->lane[k].by, l->by, sizeof l->by)) {
      s->lane[k].low = s->lane[k].low ? s->lane[k].low : l->low;
      return;
    }
  assert(s->n < SIZES_MAX_LANES && "as many as there are points: sizes.h");
  s->lane[s->n++] = *l;
}

/* Points that only check: low along each and along all; all others, where they
 * are few, or some that are spread as multiples of irrational numbers are. */
static void choose_checks(struct sizes *s, int k) {
  int n = s->at.n;
  int64_t range[IR_MAX_SIZES], all = 1;
  struct sizes_lane low = {0};
  for (int i = 0; i < n; i++) {
    struct sizes_lane l = {.low = i + 1};
    l.by[i] = low.by[i] = low_of(s, i, k) - s->at.value[i];
    add_lane(s, &l);
    range[i] = dn_min(1 - low.by[i], INT64_C(1) << 31);
    all = dn_mul(all, range[i], &all) ? all : INT64_MAX;
  }
  add_lane(s, &low);
  for (int p = 0; p < s->checks && p < all; p++) {
    struct sizes_lane l = {0};
    int64_t left = p;
    uint64_t root = UINT64_C(0x9e3779b97f4a7c15), r = root;
    for (int i = 0; i < n; i++, r *= root) {
      uint64_t part = (uint64_t)p * r >> 32;
      bool few = all <= s->checks;
      l.by[i] = few ? -(left % range[i])
                    : -(int64_t)(part * (uint64_t)range[i] >> 32);
      left /= range[i];
    }
    add_lane(s, &l);
  }
}

/* The bounds, a step along each and each two; far and near. */
static void choose_lanes(struct sizes *s, bool up) {
  int n = s->at.n;
  struct sizes_lane near = {0}, far = {0}, bounds = {0}, alone[IR_MAX_SIZES];
  assert(n > 0 && n <= IR_MAX_SIZES && "a model has bounds when it has lanes");
  s->n = 0;
  add_lane(s, &bounds);
  for (int i = 0; i < n; i++) {
    int64_t bound = s->at.value[i];
    /* Down, lest a table end; not to 1, which broadcasts. */
    s->step[i] = bound >= 4 ? -1 : 1;
    near.by[i] = s->step[i] * 2;
    far.by[i] = up && !s->made[i] ? bound
                : bound >= 8      ? -(bound / 2)
                                  : near.by[i];
    alone[i] = (struct sizes_lane){0};
    alone[i].by[i] = far.by[i];
    for (int j = 0; j <= i; j++) {
      struct sizes_lane l = {0};
      l.by[i] = s->step[i];
      l.by[j] = s->step[j];
      add_lane(s, &l);
    }
  }
  add_lane(s, &near);
  s->nstep = s->n;
  add_lane(s, &far);
  for (int i = 0; i < n; i++)
    add_lane(s, &alone[i]);
  s->nfit = s->n;
}

bool sizes_choose(struct dn_ctx *ctx, struct sizes *s) {
  int k = s->attempts / 2;
  bool another = !k;
  while (k < SIZES_LOWS && !another) {
    for (int i = 0; i < s->at.n; i++)
      another |= low_of(s, i, k) != low_of(s, i, k - 1);
    k += !another;
  }
  if (k == SIZES_LOWS)
    return false;
  choose_lanes(s, s->attempts % 2 == 0);
  choose_checks(s, k);
  s->attempts = 2 * k + s->attempts % 2 + 1;
  for (int i = 0; i < s->at.n; i++) {
    int64_t low = low_of(s, i, k);
    s->at.param[i] =
        ir_param(ctx, s->at.param[i]->name, s->made[i] && low == 1 ? 0 : low,
                 s->at.param[i]->bound);
  }
  return true;
}
