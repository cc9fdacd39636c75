// Where the probe image keeps everything in guest memory, and the selectors of its tables.

/** Boot sector, the kernel and its variables. All below 64 KiB, so that offsets are addresses in every mode. */
export const BOOT = 0x7c00;
export const KERNEL = 0x8000;
export const KERNEL_BYTES = 0x4000;
export const EVENTS = 0x7000;
export const EVENT_BYTES = 0x180;
export const MAX_EVENTS = 8;
export const VARIABLES = 0x600;
/** Where the next event goes. */
export const EVENT_POINTER = VARIABLES;
/** Programs: how many of the first events end by returning from the handler. */
export const RETURNS = VARIABLES + 8;
/** Programs: where to go on, in ring 0, after the event that would have ended the program; 0: nowhere. */
export const RESUME = VARIABLES + 16;
/** Address of the running program's header. */
export const CURRENT = VARIABLES + 24;
/** 1: memory is prepared by the host, which reads the events of one program, the only one, from it. */
export const SINGLE = VARIABLES + 32;
/** Programs: scratch that no restoring touches. */
export const SCRATCH = VARIABLES + 64;

/** What is restored before each program: cleared, then filled from the template and the program's own patches. */
export const CLEARED: readonly (readonly [from: number, to: number])[] = [
  [0, 0x400],
  [0x1000, 0x7000],
  [0xc000, 0x22000],
];
export const GDT = 0x1000;
export const GDT_BYTES = 0x200;
export const IDT32 = 0x2000;
export const IDT64 = 0x3000;
export const VECTORS = 64;
export const TSS = 0x4000;
/** Up to the end of an I/O permission bitmap of all ports below 0x400. */
export const TSS_BYTES = 0x68 + 0x81;
/** A second TSS (32-bit), and a third (16-bit), for task switches. */
export const TSS_B = 0x5000;
export const TSS_16 = 0x5800;
export const LDT = 0x6000;
export const LDT_BYTES = 0x40;
/** Stack tops; each has room above for what the handlers look at. */
export const STACK0 = 0xc800;
export const STACK1 = 0xd400;
export const STACK2 = 0xdc00;
export const STACK3 = 0xe800;
export const IST1 = 0xf400;
export const IST2 = 0xfc00;
export const PML4 = 0x10000;
export const PDPT = 0x11000;
export const PD = 0x12000;
export const PT = 0x13000;
/** The table of the test window: the second 2 MiB (PAE and long mode), the second 4 MiB (32-bit paging). */
export const WINDOW_PT = 0x14000;
export const PAE_PDPT = 0x15000;
export const PAE_PD = 0x16000;
export const PD32 = 0x17000;
export const PT32 = 0x18000;
export const WINDOW_PT32 = 0x19000;
export const WINDOW = 0x200000;
export const WINDOW32 = 0x400000;
/** Six pages of zeros for programs. */
export const DATA = 0x1a000;
/** The program's code: real-mode segment 0x2000. Rings 1 to 3 reach it too. */
export const CODE = 0x20000;
/** The chain of programs: each a header and its patches. */
export const PROGRAMS = 0x30000;
export const RAM_BYTES = 2 << 20;

/** Selectors of the GDT. */
export const CODE32 = 0x08;
export const DATA32 = 0x10;
export const UCODE32 = 0x1b;
export const UDATA32 = 0x23;
export const CODE64 = 0x28;
export const UCODE64 = 0x33;
export const TSS_SEL = 0x38;
export const LDT_SEL = 0x48;
/** 16-bit code at CODE, and 16-bit data at 0. */
export const CODE16 = 0x58;
export const DATA16 = 0x60;
export const CODE_RING1 = 0x69;
export const DATA_RING1 = 0x71;
export const CODE_RING2 = 0x7a;
export const DATA_RING2 = 0x82;
export const CONFORMING = 0x88;
/** 64-bit conforming code. */
export const CONFORMING64 = 0x90;
export const ABSENT_DATA = 0x98;
export const ABSENT_CODE = 0xa0;
export const READ_ONLY = 0xa8;
export const EXECUTE_ONLY = 0xb0;
/** Free for programs: 0xc0 to 0x1f8. */
export const FREE = 0xc0;

/** Vectors with gates of DPL 3. `DONE` ends a program; `TRAP` is a trap gate. */
export const DONE = 0x3f;
export const TRAP = 0x30;
/** A gate of DPL 0. */
export const PRIVATE = 0x31;

/** The exit that ends a whole run: QEMU's isa-debug-exit. Bochs has its own, which is written after it. */
export const EXIT_PORT = 0xf4;
export const BOCHS_SHUTDOWN_PORT = 0x8900;
