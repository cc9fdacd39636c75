// The little world of CPU tests: which addresses hold what, and the page and descriptor tables that make it so.

import {
  ATTR_D,
  ATTR_DPL_SHIFT,
  ATTR_G,
  ATTR_L,
  ATTR_NULL,
  ATTR_P,
  ATTR_S,
  SEG_ATTR,
  SEG_LIMIT,
  SEG_SELECTOR,
  type State,
} from '../state.ts';

/** Code mode and privilege of a test. `real` has segments that are not flat. */
export const SETUPS = ['long', 'long-user', 'protected', 'protected-user', 'real'] as const;
export type Setup = (typeof SETUPS)[number];

export const RAM_BYTES = 1 << 20;
const PAGE = 4096;

/** Regions of the identity-mapped first megabyte; `pages` from `at`. */
export const WORLD = {
  tables: { at: 0x1000, pages: 6 },
  low: { at: 0x8000, pages: 4 },
  code: { at: 0x10000, pages: 4 },
  data: { at: 0x20000, pages: 32 },
  readOnly: { at: 0x40000, pages: 2 },
  unmapped: { at: 0x42000, pages: 2 },
  afterUnmapped: { at: 0x44000, pages: 2 },
  supervisor: { at: 0x46000, pages: 2 },
  afterSupervisor: { at: 0x48000, pages: 2 },
  /** Mapped to guest-physical addresses that are not RAM. */
  mmio: { at: 0x50000, pages: 1 },
  stack: { at: 0x60000, pages: 8 },
  system: { at: 0x70000, pages: 4 },
} as const;
export type Region = keyof typeof WORLD;

/** The same pages again, at the bottom of the upper half. */
export const HIGH_ALIAS_64 = -0x800000000000n;
export const HIGH_ALIAS_32 = 0xc0000000n;
export const MMIO_GPA = 0xfee00000;
const GDT = 0x70000;
const IDT = 0x71000;
const TSS = 0x72000;

const PML4 = 0x1000;
const PDPT = 0x2000;
const PD = 0x3000;
const PT = 0x4000;
const PD32 = 0x5000;
const PT32 = 0x6000;

const PTE_P = 1;
const PTE_W = 2;
const PTE_U = 4;

const CR0_PE = 1;
const CR0_MP = 1 << 1;
const CR0_ET = 1 << 4;
const CR0_NE = 1 << 5;
const CR0_WP = 1 << 16;
const CR0_PG = 1 << 31;
const CR4_PAE = 1 << 5;
const CR4_OSFXSR = 1 << 9;
const CR4_OSXMMEXCPT = 1 << 10;
const CR4_FSGSBASE = 1 << 16;
const EFER_SCE = 1;
const EFER_LME = 1 << 8;
const EFER_LMA = 1 << 10;
const EFER_NXE = 1 << 11;

const CODE = 0xb;
const DATA = 3;
/** Selectors of the test GDT. */
export const SELECTORS = {
  code64: 0x08,
  data: 0x10,
  code32: 0x18,
  userCode32: 0x23,
  userData: 0x2b,
  userCode64: 0x33,
  tss: 0x38,
  code16: 0x48,
  data16: 0x50,
} as const;

export function isLong(setup: Setup): boolean {
  return setup === 'long' || setup === 'long-user';
}
export function isUser(setup: Setup): boolean {
  return setup.endsWith('user');
}
export function modeOf(setup: Setup): 16 | 32 | 64 {
  return isLong(setup) ? 64 : setup === 'real' ? 16 : 32;
}

/** RAM as every case finds it: a pattern in the data, tables for all setups, handlers that halt. */
export function pristineRam(): Uint8Array {
  const ram = new Uint8Array(RAM_BYTES);
  const view = new DataView(ram.buffer);
  for (const name of ['low', 'data', 'readOnly', 'afterUnmapped', 'stack'] as const) {
    const { at, pages } = WORLD[name];
    for (let n = at; n < at + pages * PAGE; n++) ram[n] = Math.imul(n, 0x9e3779b1) >>> 23;
  }
  ram.fill(0xf4, WORLD.code.at, WORLD.code.at + WORLD.code.pages * PAGE);
  writePageTables(view);
  writeDescriptors(view);
  return ram;
}

function writePageTables(ram: DataView): void {
  const table = PTE_P | PTE_W | PTE_U;
  const entry64 = (at: number, index: number, value: number) =>
    ram.setUint32(at + index * 8, value, true);
  for (const index of [0, 256]) entry64(PML4, index, PDPT | table);
  entry64(PDPT, 0, PD | table);
  entry64(PD, 0, PT | table);
  for (const index of [0, 768]) ram.setUint32(PD32 + index * 4, PT32 | table, true);
  for (const name of Object.keys(WORLD) as Region[]) {
    if (name === 'unmapped') continue;
    const { at, pages } = WORLD[name];
    const writable = name === 'readOnly' ? 0 : PTE_W;
    const user = name === 'supervisor' || name === 'system' || name === 'tables' ? 0 : PTE_U;
    for (let n = 0; n < pages; n++) {
      const frame = (name === 'mmio' ? MMIO_GPA : at) + n * PAGE;
      const entry = (frame | PTE_P | writable | user) >>> 0;
      entry64(PT, (at >> 12) + n, entry);
      ram.setUint32(PT32 + ((at >> 12) + n) * 4, entry, true);
    }
  }
}

function writeDescriptors(ram: DataView): void {
  const put = (selector: number, attr: number, base = 0, limit = 0xfffff) => {
    const at = GDT + (selector & ~7);
    ram.setUint32(at, ((base & 0xffff) << 16) | (limit & 0xffff), true);
    const upper = ((base >>> 16) & 0xff) | (attr << 8) | (limit & 0xf0000) | (base & 0xff000000);
    ram.setUint32(at + 4, upper, true);
  };
  const flat = ATTR_P | ATTR_S | ATTR_G;
  const dpl3 = 3 << ATTR_DPL_SHIFT;
  put(SELECTORS.code64, flat | CODE | ATTR_L);
  put(SELECTORS.data, flat | DATA | ATTR_D);
  put(SELECTORS.code32, flat | CODE | ATTR_D);
  put(SELECTORS.userCode32, flat | CODE | ATTR_D | dpl3);
  put(SELECTORS.userData, flat | DATA | ATTR_D | dpl3);
  put(SELECTORS.userCode64, flat | CODE | ATTR_L | dpl3);
  put(SELECTORS.tss, ATTR_P | CODE, TSS, 0x67);
  put(SELECTORS.code16, ATTR_P | ATTR_S | CODE, 0x10000, 0xffff);
  put(SELECTORS.data16, ATTR_P | ATTR_S | DATA, 0x20000, 0xffff);
  const handler = WORLD.code.at + 2 * PAGE;
  for (let vector = 0; vector < 256; vector++) {
    const low = handler + vector * 8;
    ram.setUint32(IDT + vector * 16, (SELECTORS.code64 << 16) | (low & 0xffff), true);
    ram.setUint32(IDT + vector * 16 + 4, (low & 0xffff0000) | 0xee00, true);
  }
  ram.setUint32(TSS + 4, WORLD.stack.at + 0x4000, true); // RSP0 of a 64-bit TSS, ESP0 of a 32-bit one
}

/** Puts the architectural state into the setup's mode: control registers, segments, stack, RIP at the code region. */
export function enterSetup(state: State, setup: Setup): void {
  state.views.u8.fill(0, state.base, state.base + 0x800);
  const long = isLong(setup);
  const paging = setup === 'real' ? 0 : CR0_PE | CR0_WP | CR0_PG;
  state.set('cr0', CR0_ET | CR0_NE | CR0_MP | paging);
  state.set('cr4', CR4_OSFXSR | CR4_OSXMMEXCPT | (long ? CR4_PAE | CR4_FSGSBASE : 0));
  state.set64('cr3', BigInt(setup === 'real' ? 0 : long ? PML4 : PD32));
  state.set('efer', long ? EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE : 0);
  state.set('eflags', 0x202);
  state.set('flOp', 6 << 2);
  state.set('cpl', isUser(setup) ? 3 : 0);
  state.set('codeMode', modeOf(setup));
  state.set64('star', (0x1bn << 48n) | (8n << 32n));
  state.set64('lstar', 0x12800n);
  state.set64('sfmask', 0x300n);
  state.set('xcr0', 3);
  state.set('fcw', 0x37f);
  state.set('mxcsr', 0x1f80);
  state.set64('dr6', 0xffff0ff0n);
  state.set64('dr7', 0x400n);
  state.set64('pat', 0x0007040600070406n);
  state.set64('gdtrBase', BigInt(GDT));
  state.set('gdtrLimit', 0x57);
  state.set64('idtrBase', BigInt(setup === 'real' ? 0 : IDT));
  state.set('idtrLimit', setup === 'real' ? 0x3ff : 0xfff);
  setSegments(state, setup);
  state.setGpr(4, BigInt(setup === 'real' ? 0x4000 : WORLD.stack.at + 0x4000));
  state.set64('rip', BigInt(setup === 'real' ? 0 : WORLD.code.at));
}

function setSegments(state: State, setup: Setup): void {
  const put = (n: number, selector: number, base: number, limit: number, attr: number) => {
    state.setSeg(n, SEG_SELECTOR, selector);
    state.setSeg(n, SEG_LIMIT, limit);
    state.setSeg(n, SEG_ATTR, attr);
    state.setSegBase(n, base);
  };
  const [ES, CS, SS, DS, FS, GS, LDTR, TR] = [0, 1, 2, 3, 4, 5, 6, 7];
  put(LDTR, 0, 0, 0, ATTR_NULL);
  put(TR, SELECTORS.tss, TSS, 0x67, ATTR_P | CODE);
  if (setup === 'real') {
    const bases = [0x28000, WORLD.code.at, WORLD.stack.at, 0x20000, 0x30000, 0x24000];
    bases.forEach((base, n) => {
      put(n, base >> 4, base, 0xffff, ATTR_P | ATTR_S | (n === CS ? CODE : DATA));
    });
    return;
  }
  const user = isUser(setup);
  const dpl = user ? 3 << ATTR_DPL_SHIFT : 0;
  const data = ATTR_P | ATTR_S | ATTR_D | ATTR_G | DATA | dpl;
  const dataSelector = user ? SELECTORS.userData : SELECTORS.data;
  for (const n of [ES, SS, DS]) put(n, dataSelector, 0, 0xffffffff, data);
  put(FS, dataSelector, 0x3000, 0xffffffff, data);
  put(GS, dataSelector, 0x20000, isLong(setup) ? 0xffffffff : 0x1ffff, data & ~ATTR_G);
  const [code64, code32] = user
    ? [SELECTORS.userCode64, SELECTORS.userCode32]
    : [SELECTORS.code64, SELECTORS.code32];
  const code = ATTR_P | ATTR_S | ATTR_G | CODE | dpl;
  put(CS, isLong(setup) ? code64 : code32, 0, 0xffffffff, code | (isLong(setup) ? ATTR_L : ATTR_D));
}
