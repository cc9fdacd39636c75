// Runs single user-mode instructions on this host's CPU: reads cases from stdin, writes what they did to stdout.
// Built and driven by record.ts: gcc -O1 -static -no-pie run-cases.c

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* The addresses of the world of CPU tests (src/cpu/testing/hardware-cases.ts), so that pointers agree. */
#define CODE 0x10000
#define TAKEN (CODE + 0x40)
#define DATA 0x21000
#define STACK 0x62000
#define WINDOW 256

struct in {
  uint8_t mode, length, pad[6], code[16];
  uint64_t regs[16], flags;
  uint8_t data[WINDOW], stack[WINDOW];
};
struct out {
  uint64_t trap, taken, regs[16], flags; /* trap: vector + 1, or 0 */
  uint8_t data[WINDOW], stack[WINDOW];
};

uint64_t in_regs[17], out_regs[17], saved_rsp, taken, scratch[8];
uint64_t code_pointer = CODE;
struct { uint32_t offset; uint16_t selector; } __attribute__((packed)) to32, to64;
void run64(void), run32(void), exit64(void), exit32(void), taken64(void), taken32(void);
void enter32(void), leave32(void), leave(void);

#define LOAD64(n, r) "mov in_regs+8*" #n ", %" #r "\n"
#define SAVE64(n, r) "mov %" #r ", out_regs+8*" #n "\n"
#define LOAD32(n, r) "movl in_regs+8*" #n ", %" #r "\n"
#define SAVE32(n, r) "movl %" #r ", out_regs+8*" #n "\n"

__asm__(
  ".text\n"
  "run64: push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\nmov %rsp, saved_rsp\n"
  "pushq in_regs+8*16\npopfq\n"
  LOAD64(0, rax) LOAD64(1, rcx) LOAD64(2, rdx) LOAD64(3, rbx) LOAD64(5, rbp) LOAD64(6, rsi)
  LOAD64(7, rdi) LOAD64(8, r8) LOAD64(9, r9) LOAD64(10, r10) LOAD64(11, r11) LOAD64(12, r12)
  LOAD64(13, r13) LOAD64(14, r14) LOAD64(15, r15) LOAD64(4, rsp) "jmp *code_pointer\n"
  "taken64: movb $1, taken\n"
  "exit64: \n"
  SAVE64(0, rax) SAVE64(1, rcx) SAVE64(2, rdx) SAVE64(3, rbx) SAVE64(4, rsp) SAVE64(5, rbp)
  SAVE64(6, rsi) SAVE64(7, rdi) SAVE64(8, r8) SAVE64(9, r9) SAVE64(10, r10) SAVE64(11, r11)
  SAVE64(12, r12) SAVE64(13, r13) SAVE64(14, r14) SAVE64(15, r15)
  "mov saved_rsp, %rsp\npushfq\npopq out_regs+8*16\n"
  "leave: cld\nmov saved_rsp, %rsp\npop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"

  "run32: push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\nmov %rsp, saved_rsp\n"
  "ljmp *to32\n"
  ".code32\n"
  "enter32: movl $0x2b, %eax\nmovl %eax, %ds\nmovl %eax, %es\n"
  "movl $scratch+32, %esp\npushl in_regs+8*16\npopfl\n"
  LOAD32(0, eax) LOAD32(1, ecx) LOAD32(2, edx) LOAD32(3, ebx) LOAD32(5, ebp) LOAD32(6, esi)
  LOAD32(7, edi) LOAD32(4, esp) "jmp *code_pointer\n"
  "taken32: movb $1, taken\n"
  "exit32: \n"
  SAVE32(0, eax) SAVE32(1, ecx) SAVE32(2, edx) SAVE32(3, ebx) SAVE32(4, esp) SAVE32(5, ebp)
  SAVE32(6, esi) SAVE32(7, edi)
  "movl $scratch+32, %esp\npushfl\npopl out_regs+8*16\n"
  "ljmp *to64\n"
  ".code64\n");

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static struct out out;

static void on_fault(int sig, siginfo_t *info, void *context) {
  (void)sig, (void)info;
  greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
  uint64_t cs = g[REG_CSGSFS] & 0xffff;
  if ((uint64_t)g[REG_RIP] >= CODE + 0x1000) _exit(3);
  out.trap = g[REG_TRAPNO] + 1;
  for (int n = 0; n < 16; n++) out_regs[n] = cs == 0x23 && n >= 8 ? 0 : g[order[n]];
  out_regs[16] = g[REG_EFL];
  g[REG_RIP] = (greg_t)leave;
  g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffLL) | 0x33;
  g[REG_EFL] = 0x202;
}

/* A jump to `where` (or, in 32-bit code, to its twin). */
static void put_jump(uint8_t *at, int mode, void (*where)(void)) {
  static uint32_t target32[2];
  static int n;
  uint64_t target = (uint64_t)where;
  at[0] = 0xff, at[1] = 0x25;
  memset(at + 2, 0, 4);
  if (mode == 64) {
    memcpy(at + 6, &target, 8);
    return;
  }
  uint32_t *slot = &target32[n++ & 1];
  uint32_t slot_at = (uint32_t)(uint64_t)slot;
  *slot = target;
  memcpy(at + 2, &slot_at, 4);
}

static void *map(uint64_t at, int bytes, int extra) {
  void *p = mmap((void *)at, bytes, PROT_READ | PROT_WRITE | extra, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (p != (void *)at) exit(2);
  return p;
}

int main(void) {
  static struct in in;
  uint8_t *code = map(CODE, 0x1000, PROT_EXEC);
  uint8_t *data = map(DATA - 0x1000, 0x3000, 0), *stack = map(STACK - 0x1000, 0x3000, 0);
  data += 0x1000, stack += 0x1000;
  to32.offset = (uint64_t)enter32, to32.selector = 0x23;
  to64.offset = (uint64_t)leave, to64.selector = 0x33;
  stack_t alternate = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS};
  for (int n = 0; n < 5; n++) sigaction(signals[n], &action, NULL);
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    memset(&out, 0, sizeof out);
    memset(out_regs, 0, sizeof out_regs);
    taken = 0;
    memcpy(code, in.code, in.length);
    put_jump(code + in.length, in.mode, in.mode == 64 ? exit64 : exit32);
    put_jump((uint8_t *)TAKEN, in.mode, in.mode == 64 ? taken64 : taken32);
    memcpy(data, in.data, WINDOW);
    memcpy(stack, in.stack, WINDOW);
    memcpy(in_regs, in.regs, sizeof in.regs);
    in_regs[16] = in.flags;
    if (in.mode == 64) run64();
    else run32();
    out.taken = taken;
    memcpy(out.regs, out_regs, sizeof out.regs);
    out.flags = out_regs[16];
    memcpy(out.data, data, WINDOW);
    memcpy(out.stack, stack, WINDOW);
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
