// What of Arduino's core the sketch uses. As the builder does: this file is included
// before the sketch, which has no main().
#pragma once
#ifdef ARDUINO_ON_THIS_MACHINE
#include <cstdio>
#include <cstdlib>
#endif
struct port {
  void begin(long) {}
  operator bool() const { return true; }
#ifdef ARDUINO_ON_THIS_MACHINE
  void print(const char *s) { std::fputs(s, stdout); }
  void println(int n) { std::printf("%d\n", n); }
};
inline void delay(unsigned long) { std::exit(0); }
#else
  void print(const char *);
  void println(int);
};
void delay(unsigned long);
#endif
extern port Serial;
void setup();
void loop();
#ifdef ARDUINO_ON_THIS_MACHINE
port Serial;
int main() {
  setup();
  for (;;)
    loop();
}
#endif
