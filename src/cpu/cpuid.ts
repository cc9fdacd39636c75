// CPUID: the leaves of the CPU that kernels see, from a model and its feature names.

import { PHYSICAL_BITS } from './control-bits.ts';
import { FEATURE_BITS, type FeatureName, IMPLEMENTED, type Register } from './cpuid-features.ts';

export interface CpuModel {
  /** 12 characters. */
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** At most 47 characters. */
  readonly brand: string;
  readonly features: ReadonlySet<FeatureName>;
  readonly apicId: number;
  /** vCPUs of the machine. */
  readonly cpus: number;
  readonly tscHz: number;
}

/**
 * AMD, so that kernels do without page-table isolation. Family 0x19 (Zen 4) is one whose speculation bugs have bits that
 * say "not here" (srso_no, tsa_*_no, ssb_no) or that cost nothing to mitigate (autoibrs): true of an emulator, and
 * kernels then need neither retpolines nor flushes. Older kernels look at feature bits only.
 */
export const DEFAULT_MODEL: CpuModel = {
  vendor: 'AuthenticAMD',
  family: 0x19,
  model: 0x11,
  stepping: 0,
  brand: 'pvops virtual CPU',
  features: new Set(IMPLEMENTED),
  apicId: 0,
  cpus: 1,
  tscHz: 1_000_000_000,
};

/** The default model with more features (those of the machine: `apic`, `x2apic`, `tsc_deadline_timer`, `arat`), or fewer. */
export function cpuModel(
  more: readonly FeatureName[],
  changes: Partial<Omit<CpuModel, 'features'>> = {},
): CpuModel {
  return { ...DEFAULT_MODEL, ...changes, features: new Set([...IMPLEMENTED, ...more]) };
}

const MAX_BASIC = 0x16;
const MAX_EXTENDED = 0x80000021;
const REGISTERS: readonly Register[] = ['eax', 'ebx', 'ecx', 'edx'];

/**
 * Fills `out` with EAX, EBX, ECX, EDX. Leaves 0x40000000.. are the interfaces' own: zero here. What depends on the
 * vCPU's state (OSXSAVE, the size of the XSAVE area) is added by the instruction.
 */
export function cpuidLeaf(cpu: CpuModel, leaf: number, subleaf: number, out: Uint32Array): void {
  out.fill(0);
  const asked = leaf >>> 0;
  const basic = asked < 0x40000000;
  // Beyond the last basic leaf AMD gives zeros. APM 3 CPUID.
  if (basic ? asked > MAX_BASIC : asked < 0x80000000 || asked > MAX_EXTENDED) return;
  fixedPart(cpu, asked, subleaf >>> 0, out);
  for (const name of cpu.features) {
    const { leaf: where, subleaf: sub, register, bit } = FEATURE_BITS[name];
    if (where !== asked || (hasSubleaves(where) && sub !== subleaf >>> 0)) continue;
    set(out, register, bit);
  }
  if (asked === 0x80000001) copyLegacyBits(cpu, out);
}

const hasSubleaves = (leaf: number) => leaf === 7 || leaf === 0xd;

function set(out: Uint32Array, register: Register, bit: number): void {
  const n = REGISTERS.indexOf(register);
  out[n] = (out[n] as number) | (1 << bit);
}

function fixedPart(cpu: CpuModel, leaf: number, subleaf: number, out: Uint32Array): void {
  switch (leaf) {
    case 0:
      fill(out, MAX_BASIC, ascii(cpu.vendor, 0), ascii(cpu.vendor, 8), ascii(cpu.vendor, 4));
      return;
    case 1:
      // CLFLUSH covers 8 quadwords.
      fill(out, signature(cpu), (cpu.apicId << 24) | (cpu.cpus << 16) | (8 << 8), 0, 0);
      return;
    case 0xb:
      topology(cpu, subleaf, out);
      return;
    case 0xd:
      if (cpu.features.has('xsave')) xsaveLeaf(subleaf, out);
      return;
    case 0x15:
      // TSC / crystal = 1; the crystal's frequency in ECX.
      fill(out, 1, 1, cpu.tscHz, 0);
      return;
    case 0x16:
      fill(out, cpu.tscHz / 1e6, cpu.tscHz / 1e6, 100, 0);
      return;
    case 0x80000000:
      fill(out, MAX_EXTENDED, ascii(cpu.vendor, 0), ascii(cpu.vendor, 8), ascii(cpu.vendor, 4));
      return;
    case 0x80000001:
      fill(out, signature(cpu), 0, 0, 0);
      return;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const from = (leaf - 0x80000002) * 16;
      fill(out, ...([0, 4, 8, 12].map((n) => ascii(cpu.brand, from + n)) as Four));
      return;
    }
    case 0x80000005:
      // TLBs of 64 entries; L1 caches of 32 KiB, 8 ways, lines of 64 bytes. APM 3 E.4.4.
      fill(out, 0xff40ff40, 0xff40ff40, 0x20080140, 0x20080140);
      return;
    case 0x80000006:
      // L2 of 512 KiB, 8 ways.
      fill(out, 0, 0x42004200, 0x02006140, 0);
      return;
    case 0x80000008:
      fill(out, PHYSICAL_BITS | (48 << 8), 0, cpu.cpus - 1, 0);
      return;
    default:
      return;
  }
}

type Four = [number, number, number, number];

function fill(out: Uint32Array, ...values: Four): void {
  out.set(values.map((value) => value >>> 0));
}

/** Family, model and stepping as leaf 1 has them. SDM 2A CPUID figure 3-6. */
function signature(cpu: CpuModel): number {
  const extended = cpu.family > 15 ? cpu.family - 15 : 0;
  return (
    (extended << 20) |
    ((cpu.model >> 4) << 16) |
    (Math.min(cpu.family, 15) << 8) |
    ((cpu.model & 15) << 4) |
    cpu.stepping
  );
}

/** One thread a core, all cores in one package. SDM 2A CPUID leaf 0bh. */
function topology(cpu: CpuModel, subleaf: number, out: Uint32Array): void {
  if (!cpu.features.has('x2apic')) return;
  const coreBits = 32 - Math.clz32(cpu.cpus - 1);
  if (subleaf === 0) fill(out, 0, 1, 1 << 8, cpu.apicId);
  else if (subleaf === 1) fill(out, coreBits, cpu.cpus, (2 << 8) | 1, cpu.apicId);
  else fill(out, 0, 0, subleaf & 0xff, cpu.apicId);
}

/** x87 and SSE: the legacy area of 512 bytes and the header of 64. SDM 1 13.4. */
function xsaveLeaf(subleaf: number, out: Uint32Array): void {
  if (subleaf === 0) fill(out, 3, 576, 576, 0);
  if (subleaf === 1) fill(out, 0, 576, 0, 0);
}

/** AMD repeats the old part of leaf 1 EDX. APM 3 E.4.2. */
const REPEATED: readonly FeatureName[] = [
  'fpu',
  'vme',
  'de',
  'pse',
  'tsc',
  'msr',
  'pae',
  'mce',
  'cx8',
  'apic',
  'mtrr',
  'pge',
  'mca',
  'cmov',
  'pat',
  'pse36',
  'mmx',
  'fxsr',
];

function copyLegacyBits(cpu: CpuModel, out: Uint32Array): void {
  for (const name of REPEATED) if (cpu.features.has(name)) set(out, 'edx', FEATURE_BITS[name].bit);
}

/** Four characters as a little-endian word; zero behind the end. */
function ascii(text: string, from: number): number {
  let value = 0;
  for (let n = 3; n >= 0; n--) value = value * 256 + (text.charCodeAt(from + n) || 0);
  return value;
}
