// The probe kernel for the interfaces that are known, and for one that the user brings.

import type { BootWay, InterfaceChoice } from '../../hypervisors/index.ts';
import { INTERFACES } from '../../hypervisors/index.ts';
import { type KernelImage, openKernel, packGzip } from '../../image/index.ts';
import type { GuestBinding } from '../../ops/index.ts';
import {
  bzImage,
  END_LINE,
  type MeasurePlan,
  PROBES,
  type ProbeImage,
  probeImage,
} from '../../probe/index.ts';

export const PROBE_BITS = [32, 64] as const;
export type ProbeBits = (typeof PROBE_BITS)[number];

/** What a kernel of the name `probe` is called in results. */
export const probeName = (bits: ProbeBits): string => `probe${bits}`;

/** Native's first. An interface of the user's is asked for before those that we know: it may look like one of them. */
export function bindingsWith(choice: InterfaceChoice | null): GuestBinding[] {
  const known = INTERFACES.flatMap(({ guest }) => (guest ? [guest] : []));
  const own = choice?.interface.guest;
  if (!own || known.includes(own)) return known;
  return [known[0]!, own, ...known.slice(1).filter(({ id }) => id !== own.id)];
}

const images = new Map<string, ProbeImage>();

/** Made once for each set of bindings. */
function imageOf(bits: ProbeBits, choice: InterfaceChoice | null): ProbeImage {
  const bindings = bindingsWith(choice);
  const key = `${bits} ${bindings.map(({ id }) => id).join(' ')}`;
  const before = images.get(key);
  if (before) return before;
  const image = probeImage(bits, bindings, PROBES);
  images.set(key, image);
  return image;
}

/** One that asks nothing and measures for long, for a clock of the host's. */
export function timedProbe(
  bits: ProbeBits,
  choice: InterfaceChoice,
  plan: MeasurePlan,
): KernelImage {
  const { elf } = probeImage(bits, bindingsWith(choice), [], plan);
  return openKernel(elf, `${probeName(bits)}, timed`);
}

/** The file, the same for all the interfaces that we know. */
export const probeElf = (bits: ProbeBits, choice: InterfaceChoice | null = null): Uint8Array =>
  imageOf(bits, choice).elf;

/** For loaders of Linux kernels: those that run its setup code or enter behind it, and those that unpack the ELF file in it. */
export function probeBzImage(bits: ProbeBits, choice: InterfaceChoice | null = null): Uint8Array {
  const { elf, ...parts } = imageOf(bits, choice);
  return bzImage({ ...parts, payload: packGzip(elf) });
}

/** Bytes of the file before the image, and of the image before its multiboot header (probe/kernel/elf.ts, entry.ts). */
const MULTIBOOT_AT = 4096 + 64;

/** The same without its multiboot header: loaders that look for that first take the PVH entry of this one. */
export function probeElfByPvh(bits: ProbeBits, choice: InterfaceChoice | null = null): Uint8Array {
  const elf = probeElf(bits, choice).slice();
  elf.fill(0, MULTIBOOT_AT, MULTIBOOT_AT + 12);
  return elf;
}

/** Ways that begin with a setup header. */
const BY_SETUP_HEADER: readonly BootWay[] = ['setup', 'linux32', 'linux64'];

/** In the form that the way of booting asks for. */
export function probeKernel(
  bits: ProbeBits,
  choice: InterfaceChoice | null = null,
  boot: BootWay = 'direct',
): KernelImage {
  const file = BY_SETUP_HEADER.includes(boot) ? probeBzImage : probeElf;
  return openKernel(file(bits, choice), probeName(bits));
}

/** `probe`, which is of 64 bits where the interface has those, or `probe32`, `probe64`. */
export const isProbe = (name: string): boolean => /^probe(32|64)?$/.test(name);

/** What a run of it waits for. */
export const PROBE_END = END_LINE;

export function probeNamed(name: string, on: InterfaceChoice, boot?: BootWay): KernelImage {
  const known = on.interface.guest?.bits ?? PROBE_BITS;
  const asked = name === 'probe' ? (known.includes(64) ? 64 : 32) : name === 'probe32' ? 32 : 64;
  return probeKernel(asked, on, boot);
}
