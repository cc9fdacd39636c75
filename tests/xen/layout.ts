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
/** start_info, the console's ring, the number of the program. */
export const START_INFO = CATCH + 0x100;
export const CONSOLE = CATCH + 0x108;
export const INDEX = CATCH + 0x110;
/** Arguments of the runtime's own calls. */
export const SCRATCH = CATCH + 0x200;
export const RESULTS = pages(KEPT_PAGE + 1);
export const TRAPS = pages(KEPT_PAGE + 2);
/** Mapped on shared_info. */
export const SHARED_INFO = pages(KEPT_PAGE + 4);
export const STACK_TOP = pages(KEPT_PAGE + 10);
export const PAGES = pages(PAGES_PAGE);
