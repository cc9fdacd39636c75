// Runs one-instruction cases over FPU, vector and a few general registers on this machine's CPU. See record-float.ts.
// Reads cases of IN bytes from stdin, writes results of OUT bytes to stdout.
//   in:  code[16], rax rcx rdx rbx rflags (8 bytes each), data[128], fxsave image[512]
//   out: trap (8, 0 = none, else vector + 1), rax rcx rdx rbx rflags, data[128], fxsave image[512]
// RSI, RDI point to the data window at DATA_AT.

#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define CODE_AT 0x10000
#define DATA_AT 0x21000
#define WINDOW 128

struct frame {
  uint8_t code[16];
  uint64_t regs[5];
  uint8_t data[WINDOW];
  uint8_t fx[512] __attribute__((aligned(8)));
};
struct result {
  uint64_t trap;
  uint64_t regs[5];
  uint8_t data[WINDOW];
  uint8_t fx[512] __attribute__((aligned(8)));
};

static uint8_t fx_in[512] __attribute__((aligned(64)));
static uint8_t fx_out[512] __attribute__((aligned(64)));
static uint8_t fx_host[512] __attribute__((aligned(64)));
uint64_t regs_io[5];
uint64_t saved_rsp;
static sigjmp_buf back;
static uint64_t trap;

__attribute__((naked, noinline)) static void run(void *in, void *out) {
  __asm__ volatile(
      "push %%rbx; push %%rbp; push %%r12; push %%r13; push %%r14; push %%r15; push %%rsi\n"
      "mov %%rsp, saved_rsp(%%rip)\n"
      "fxrstor64 (%%rdi)\n"
      "lea regs_io(%%rip), %%r8\n"
      "pushq 32(%%r8); popfq\n"
      "mov 0(%%r8), %%rax; mov 8(%%r8), %%rcx; mov 16(%%r8), %%rdx; mov 24(%%r8), %%rbx\n"
      "mov $0x21000, %%esi; mov $0x21000, %%edi; mov $0x10000, %%r9d\n"
      "call *%%r9\n"
      "mov saved_rsp(%%rip), %%rsp\n"
      "lea regs_io(%%rip), %%r8\n"
      "mov %%rax, 0(%%r8); mov %%rcx, 8(%%r8); mov %%rdx, 16(%%r8); mov %%rbx, 24(%%r8)\n"
      "pushfq; popq 32(%%r8)\n"
      "pop %%rsi\n"
      "fxsave64 (%%rsi)\n"
      "fninit; cld\n"
      "pop %%r15; pop %%r14; pop %%r13; pop %%r12; pop %%rbp; pop %%rbx\n"
      "ret\n" ::);
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  ucontext_t *u = context;
  static const int order[4] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX};
  for (int n = 0; n < 4; n++) regs_io[n] = u->uc_mcontext.gregs[order[n]];
  regs_io[4] = u->uc_mcontext.gregs[REG_EFL];
  trap = u->uc_mcontext.gregs[REG_TRAPNO] + 1;
  memcpy(fx_out, u->uc_mcontext.fpregs, 512);
  siglongjmp(back, 1);
}

int main(void) {
  uint8_t *code = mmap((void *)CODE_AT, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  uint8_t *data = mmap((void *)DATA_AT, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (code == MAP_FAILED || data == MAP_FAILED) return 1;
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP};
  for (int n = 0; n < 5; n++) sigaction(signals[n], &action, 0);
  __asm__ volatile("fxsave64 %0" : "=m"(fx_host));
  struct frame in;
  struct result out;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    memcpy(code, in.code, 16);
    memcpy(data, in.data, WINDOW);
    memcpy(fx_in, in.fx, 512);
    memcpy(regs_io, in.regs, sizeof regs_io);
    trap = 0;
    if (sigsetjmp(back, 1) == 0) run(fx_in, fx_out);
    __asm__ volatile("fninit; cld; fxrstor64 %0" ::"m"(fx_host));
    out.trap = trap;
    memcpy(out.regs, regs_io, sizeof regs_io);
    memcpy(out.data, data, WINDOW);
    memcpy(out.fx, fx_out, 512);
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
