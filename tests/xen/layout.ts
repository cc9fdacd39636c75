// Where things lie in the guest of the Xen programs: virtual addresses in the 64-bit kernel half.

export const VIRT_BASE = -0x8000_0000; // 0xffffffff80000000
const pages = (n: number) => VIRT_BASE + n * 4096;

/** Physical pages: the program text; what the runtime keeps; each program's own pages. */
export const TEXT_PAGE = 0x100;
export const KEPT_PAGE = 0x200;
export const PAGES_PAGE = 0x210;
/** Pages that each program has. */
export const PAGES_EACH = 8;

export const TEXT = pages(TEXT_PAGE);
/** Where a fault goes on (0: nowhere), its stack, the vector and the error code, RIP, CS, RFLAGS, RSP, SS. */
export const CATCH = pages(KEPT_PAGE);
/** start_info, the console's ring, the number of the program, the console's port. */
export const START_INFO = CATCH + 0x100;
export const CONSOLE = CATCH + 0x108;
export const INDEX = CATCH + 0x110;
export const CONSOLE_PORT = CATCH + 0x118;
/** Arguments of the runtime's own calls. */
export const SCRATCH = CATCH + 0x200;
export const RESULTS = pages(KEPT_PAGE + 1);
export const TRAPS = pages(KEPT_PAGE + 2);
/** Mapped on shared_info. */
export const SHARED_INFO = pages(KEPT_PAGE + 4);
export const STACK_TOP = pages(KEPT_PAGE + 10);
export const PAGES = pages(PAGES_PAGE);

/** Of the PVH guest: descriptors begin its text, the 32-bit and the 64-bit code at its start have places of their own. */
export const DESCRIPTORS = TEXT + 0x40;
export const ENTRY = TEXT + 0x100;
export const WIDE_START = TEXT + 0x800;
export const IDT = TRAPS;
/** How often each vector from 32 on has come: 64 bits each. */
export const COUNTS = pages(KEPT_PAGE + 3);
export const CALL_PAGE = pages(KEPT_PAGE + 10);
/** Registers as the guest was entered with them, 32 bits each. */
export const ENTERED = pages(KEPT_PAGE + 11);
/** TSS, and the stack that it names, downwards. */
export const TSS = ENTERED + 0x400;
export const INNER_STACK_TOP = pages(KEPT_PAGE + 12);
/** Its page tables: the root, the tables below it, and two levels of large pages: RAM, and what lies right below 4 GiB. */
export const ROOT = pages(KEPT_PAGE + 12);
export const MIDDLE = pages(KEPT_PAGE + 13);
export const LARGE = pages(KEPT_PAGE + 14);
export const LARGE_TOP = pages(KEPT_PAGE + 15);
/** An interrupt's handler clears the pending bit from this count on; ends it at the local APIC if the second is not zero. */
export const CLEAR_FROM = CATCH + 0x120;
export const END_AT_APIC = CATCH + 0x128;
/** Where narrow code returns to, and its stack. */
export const NARROW_BACK = CATCH + 0x130;
export const NARROW_STACK = CATCH + 0x138;

/** Guest-physical address of an address of RAM. */
export const physical = (va: number): number => va - VIRT_BASE;
/** The same byte in the lowest 4 GiB of addresses, where 32-bit code can reach it. */
export const narrow = (va: number): number => va + 2 ** 32;
