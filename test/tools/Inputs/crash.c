/* An object with room for the description of another, whose code crashes. */
const char mlp_model[4096] __attribute__((aligned(8))) = "DNNM";

int mlp_run(const void *x, void *y, void *arena);
int mlp_run(const void *x, void *y, void *arena) {
  (void)x, (void)y, (void)arena;
  *(volatile char *)8 = 1;
  return 0;
}
