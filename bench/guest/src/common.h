// What every workload includes: the two console lines between which the host measures a section.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *section_;
static double seconds_;
static unsigned long long ticks_;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

// Under pvops on virtual time one tick is one instruction; elsewhere it is time.
static unsigned long long ticks(void) {
  unsigned low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (unsigned long long)high << 32 | low;
}

static void begin(const char *name) {
  section_ = name;
  printf("@BEGIN %s\n", name);
  fflush(stdout);
  seconds_ = now();
  ticks_ = ticks();
}

static void end(unsigned long long checksum) {
  unsigned long long spent = ticks() - ticks_;
  double seconds = now() - seconds_;
  printf("@END %s %.4f chk=%llx tsc=%llu\n", section_, seconds, checksum, spent);
  fflush(stdout);
}
