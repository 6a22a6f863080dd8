/* run_sizes.c - sizes that are known at run time only: those of the inputs'
 * files, what --dim NAME=VALUE says, or else the bounds. */
#include "tools/run.h"

#include <string.h>

bool run_find_sizes(struct run *r) {
  struct ir_sizes *s = &r->sizes;
  bool ok = true;
  *s = (struct ir_sizes){0};
  for (size_t i = 0; i < r->nin; i++)
    ok &= ir_point_add(&s->most, r->in[i].type);
  r->at = s->most;
  r->bounds = DN_ARRAY(r->ctx->arena, struct run_port, r->nin + r->nout + 1);
  memcpy(r->bounds, r->in, r->nin * sizeof *r->in);
  memcpy(r->bounds + r->nin, r->out, r->nout * sizeof *r->out);
  for (int i = 0; i < s->most.n; i++)
    s->least[i] = s->most.param[i]->least;
  return ok;
}

/* The size of a dimension that is a parameter as it is. */
static void take_dim(struct run *r, const struct ir_size *size, int64_t dim) {
  for (int i = 0; size && i < r->at.n; i++)
    if (size == ir_size_param(r->ctx, r->at.param[i]))
      r->at.value[i] = dim;
}

static bool take_option(struct run *r, const char *text) {
  const char *eq = strrchr(text, '=');
  int64_t value = 0;
  bool good = eq && eq[1];
  if (!eq || eq == text || eq[-1] == '<')
    return true; /* read when it was compiled */
  for (const char *p = eq + 1; good && *p; p++)
    good = *p >= '0' && *p <= '9' && dn_mul(value, 10, &value) &&
           dn_add(value, *p - '0', &value);
  for (int i = 0; good && i < r->at.n; i++)
    if (strlen(r->at.param[i]->name) == (size_t)(eq - text) &&
        !strncmp(r->at.param[i]->name, text, (size_t)(eq - text))) {
      r->at.value[i] = value;
      return true;
    }
  return r->m ||
         dn_error(r->ctx, (struct dn_loc){.where = "--dim"}, DN_USAGE,
                  "'%.200s' is no size that is known at run time only", text);
}

static bool take_ports(struct run *r, struct run_port *to, size_t from,
                       size_t n) {
  for (size_t i = 0; i < n; i++) {
    to[i].type = ir_type_at(r->ctx, r->bounds[from + i].type, &r->at);
    if (!to[i].type)
      return false;
  }
  return true;
}

bool run_set_sizes(struct run *r, const struct ir_type *const *types,
                   size_t n) {
  bool ok = true;
  r->at = r->sizes.most;
  for (size_t i = 0; i < n && i < r->nin; i++) {
    const struct ir_type *t = r->bounds[i].type;
    for (int d = 0; types[i] && types[i]->rank == t->rank && d < t->rank; d++)
      take_dim(r, t->size[d], types[i]->dim[d]);
  }
  for (size_t i = 0; r->at.n && i < r->o->dims.n; i++)
    ok &= take_option(r, r->o->dims.v[i]);
  for (int i = 0; i < r->at.n; i++) {
    int64_t v = r->at.value[i], least = r->sizes.least[i];
    if (v >= least && v <= r->sizes.most.value[i])
      continue;
    ok = dn_error(r->ctx, (struct dn_loc){.file = r->path}, DN_USAGE,
                  "size '%s' is %lld, not %lld to %lld", r->at.param[i]->name,
                  (long long)v, (long long)least,
                  (long long)r->sizes.most.value[i]);
  }
  return ok && take_ports(r, r->in, 0, r->nin) &&
         take_ports(r, r->out, r->nin, r->nout);
}
