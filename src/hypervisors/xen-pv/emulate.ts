// Privileged instructions of a PV guest that Xen executes for it: MSRs, control and debug registers, ports.

import { CR0_TS } from '../../cpu/control-bits.ts';
import type { Decoded } from '../../cpu/decoded.ts';
import { recomputeFpuFaults } from '../../cpu/fpu-fault.ts';
import { GPR_AT } from '../../cpu/state.ts';
import { switchKernelTable } from './address-space.ts';
import { getDebug, setDebug } from './debug.ts';
import { codeWindow, decodeAgain, MAX_BYTES } from './decode-again.ts';
import { bytesInTlb } from './frame-words.ts';
import { readPvMsr, writePvMsr } from './msrs.ts';
import {
  countsAsRing,
  currentVcpu,
  inKernel,
  isGuestAddress,
  linearRip,
  type PvDomain,
} from './pv-domain.ts';
import { reportEmulated } from './seen-emulated.ts';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const PAGE = 4096;
const FOUR_GIB = 4294967296;
/** CR0 as a PV guest sees it, beside TS: PE MP ET NE WP AM PG (Xen 4.17 keeps what the processor runs with). */
const CR0_SHOWN = 0x80050033;

type Register = { readonly file: string; readonly number: number };

/** The instruction at RIP has raised #GP(0). True: it was one of those, and has been executed. */
export function emulatePrivileged(pv: PvDomain): boolean {
  const d = decodeHere(pv);
  if (d === null) return false;
  const port = portAccess(d);
  if (port) return access(pv, d, port);
  // All others are the kernel's.
  if (!inKernel(pv) || !execute(pv, d)) return false;
  reportEmulated(pv, d);
  pv.cpu.complete(d.length);
  return true;
}

function decodeHere(pv: PvDomain): Decoded | null {
  const { state, mmu } = pv.cpu;
  const mode = state.get('codeMode') as 16 | 32 | 64;
  const va = linearRip(pv);
  const room = PAGE - (va & (PAGE - 1));
  const code = codeWindow;
  let bytes = Math.min(MAX_BYTES, room);
  const place = bytesInTlb(pv, va | 0, Math.floor(va / FOUR_GIB) | 0, bytes, 0);
  if (place !== 0 && bytes === MAX_BYTES)
    return decodeAgain(pv.cpu.views.u8, place >>> 0, bytes, mode);
  if (!isGuestAddress(pv, va) || !mmu.read(va, bytes, 'current')) return null;
  for (let n = 0; n < bytes; n++) code[n] = mmu.buf.getUint8(n);
  if (bytes < MAX_BYTES && mmu.read(va + bytes, MAX_BYTES - bytes, 'current')) {
    for (let n = bytes; n < MAX_BYTES; n++) code[n] = mmu.buf.getUint8(n - bytes);
    bytes = MAX_BYTES;
  }
  return decodeAgain(code, 0, bytes, mode);
}

function execute(pv: PvDomain, d: Decoded): boolean {
  const { state } = pv.cpu;
  switch (d.insn.name) {
    case 'rdmsr': {
      const out = new Uint32Array(2);
      if (!readPvMsr(pv, state.gpr32(RCX), out)) return false;
      state.setGpr32(RAX, out[0]!);
      state.setGpr32(RDX, out[1]!);
      return true;
    }
    case 'wrmsr':
      return writePvMsr(pv, state.gpr32(RCX), state.gpr32(RAX), state.gpr32(RDX));
    case 'mov':
      return moveSpecial(pv, d);
    case 'clts':
      setTaskSwitched(pv, false);
      return true;
    case 'wbinvd':
      // Caches are not a guest's to lose.
      return true;
    case 'cli':
    case 'sti':
      // Where the IOPL allows them they pass without effect: events are masked in memory, not here.
      return mayUsePorts(pv);
    default:
      return false;
  }
}

/** CR0.TS as the guest says: the next floating-point instruction traps. */
export function setTaskSwitched(pv: PvDomain, set: boolean): void {
  const { state } = pv.cpu;
  currentVcpu(pv).taskSwitched = set;
  const cr0 = state.get('cr0');
  state.set('cr0', set ? cr0 | CR0_TS : cr0 & ~CR0_TS);
  recomputeFpuFaults(state);
}

/** MOV to and from control and debug registers. */
function moveSpecial(pv: PvDomain, d: Decoded): boolean {
  const [to, from] = d.operands.map((o) => register(o, d));
  if (!to || !from) return false;
  const { state } = pv.cpu;
  if (to.file === 'gpr') {
    const value = readSpecial(pv, from);
    if (value === null) return false;
    state.setVaAt(GPR_AT + to.number * 8, value);
    return true;
  }
  const value = state.vaAt(GPR_AT + from.number * 8);
  if (to.file === 'cr') return writeControl(pv, to.number, value);
  return to.file === 'dr' && setDebug(pv, to.number, value) === 0;
}

function readSpecial(pv: PvDomain, from: Register): number | null {
  if (from.file === 'cr') return readControl(pv, from.number);
  return from.file === 'dr' ? getDebug(pv, from.number) : null;
}

function register(operand: Decoded['operands'][number], d: Decoded): Register | null {
  if (operand.kind !== 'reg') return null;
  return { file: operand.file, number: d.regs[operand.slot] ?? 0 };
}

function readControl(pv: PvDomain, n: number): number | null {
  const vcpu = currentVcpu(pv);
  if (n === 0) return CR0_SHOWN + (vcpu.taskSwitched ? CR0_TS : 0);
  if (n === 2) return vcpu.cr2;
  if (n === 3) return pv.state.narrow ? foldMfn(vcpu.kernelTable) : vcpu.kernelTable * PAGE;
  if (n === 4) return pv.cpu.state.get('cr4') & CR4_SHOWN;
  return null;
}

/** Frame numbers of more than 20 bits go round the low end of CR3 (arch-x86/xen-x86_32.h, xen_pfn_to_cr3). */
export const foldMfn = (mfn: number): number => ((mfn << 12) | (mfn >>> 20)) >>> 0;
export const unfoldMfn = (cr3: number): number => ((cr3 >>> 12) | (cr3 << 20)) >>> 0;

/** CR4 of the processor without what guests do not have: PSE and PGE. */
const CR4_SHOWN = ~((1 << 4) | (1 << 7));

function writeControl(pv: PvDomain, n: number, value: number): boolean {
  const vcpu = currentVcpu(pv);
  switch (n) {
    case 0: {
      const shown = readControl(pv, 0)!;
      const other = Math.floor(value / CR0_TS / 2) !== Math.floor(shown / CR0_TS / 2);
      if (other || (value & (CR0_TS - 1)) !== (shown & (CR0_TS - 1))) return false;
      setTaskSwitched(pv, (value & CR0_TS) !== 0);
      return true;
    }
    case 2:
      vcpu.cr2 = value;
      return true;
    case 3:
      if (pv.state.narrow) return switchKernelTable(pv, unfoldMfn(value)) === 0;
      return (value & (PAGE - 1)) === 0 && switchKernelTable(pv, Math.floor(value / PAGE)) === 0;
    case 4:
      // Xen shows its own bits and takes none but those that change nothing here.
      vcpu.cr4 = value >>> 0;
      return true;
    default:
      return false;
  }
}

/** The IOPL that the guest has asked for is as high as the ring that it counts as. */
const mayUsePorts = (pv: PvDomain): boolean => currentVcpu(pv).iopl >= countsAsRing(pv);

interface PortAccess {
  readonly write: boolean;
  readonly bytes: number;
}

function portAccess({ insn, operands }: Decoded): PortAccess | null {
  if (insn.name !== 'in' && insn.name !== 'out') return null;
  const value = operands[insn.name === 'in' ? 0 : 1];
  const size = value && 'size' in value ? value.size : 0;
  return { write: insn.name === 'out', bytes: size / 8 };
}

/** A domain without devices has no ports: reads float, writes vanish, if its IOPL lets it try at all. */
function access(pv: PvDomain, d: Decoded, { write, bytes }: PortAccess): boolean {
  if (!mayUsePorts(pv)) return false;
  const { state } = pv.cpu;
  if (!write) {
    const i = (state.base + GPR_AT) >> 2;
    const old = state.views.u32[i]!;
    if (bytes === 4) state.setGpr32(RAX, 0xffffffff);
    else state.views.u32[i] = old | ((1 << (bytes * 8)) - 1);
  }
  pv.cpu.complete(d.length);
  return true;
}
