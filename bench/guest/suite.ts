// The workloads as data: programs, their arguments, the sections that each prints, and the checksums that must come out.

export type Bits = 32 | 64;

export interface Section {
  readonly name: string;
  /** In hexadecimal, as a real CPU prints it: the same for 32 and 64 bits. */
  readonly checksum: string;
  /** Printed by the 32-bit program only. */
  readonly only32?: boolean;
  /** A copy: judged by itself, and left out of the second mean. */
  readonly copy?: boolean;
}

export interface Program {
  readonly name: string;
  /** In bench/guest/src. */
  readonly source: string;
  readonly argument: number;
  /** For gcc, by width, beside the flags that all have. */
  readonly flags?: Readonly<Record<Bits, readonly string[]>>;
  readonly sections: readonly Section[];
}

export const PROGRAMS: readonly Program[] = [
  // Registers only: the upper bound.
  program('spin', 200_000_000, [{ name: 'regloop', checksum: '191d2eb7' }]),
  // Recursion, call and ret.
  program('nqueens', 13, [{ name: 'nqueens', checksum: '11ff0' }]),
  // Byte stores and loads over 1 MB.
  program('sieve', 60, [{ name: 'sieve', checksum: '7b30388' }]),
  // Rotates and stack spills.
  program('sha256', 1000, [{ name: 'sha256', checksum: 'd19faa5b' }]),
  // A threaded bytecode interpreter: an indirect jump per six instructions.
  program('interp', 6_000_000, [{ name: 'interp', checksum: '7c84b4af' }]),
  // Indirect calls with random targets.
  program('switchi', 20_000_000, [{ name: 'indcall', checksum: '2c0db44d' }]),
  // Copies of 32 MB; sequential, by line, by page (TLB) and random accesses over 64 MB.
  program('mem', 4, [
    { name: 'memcpy_libc', checksum: '89', copy: true },
    { name: 'memcpy_repmovs', checksum: 'e0', copy: true },
    { name: 'read_seq4', checksum: '78000000' },
    { name: 'walk_64B', checksum: '58000000' },
    { name: 'walk_4K', checksum: '51e00000' },
    { name: 'rand_rw', checksum: '55d9f8b9' },
  ]),
  // Double precision, on SSE2 and on the x87.
  floatingPoint('fpsse', 20, 'sse2', { 32: ['-mfpmath=sse'], 64: [] }, ['d0b880', '4022e0']),
  floatingPoint('fpx87', 10, 'x87', { 32: ['-mfpmath=387'], 64: ['-mfpmath=387'] }, [
    '685c40',
    'ffffffffffb0e539',
  ]),
  // System calls and clock readings.
  program('sysc', 300_000, [
    { name: 'getppid_libc', checksum: '493e0' },
    { name: 'getppid_int80', checksum: '493e0', only32: true },
    { name: 'clock_gettime', checksum: '124f8' },
  ]),
  // fork + execve + wait; fork + exit + wait.
  program('forkexec', 500, [
    { name: 'forkexec', checksum: 'dac' },
    { name: 'fork', checksum: '5dc' },
  ]),
  // Anonymous page faults.
  program('fault', 400, [{ name: 'pgfault', checksum: 'c73800' }]),
  // Context switches through two pipes.
  program('pipepp', 20_000, [{ name: 'pipe_pingpong', checksum: '4e20' }]),
];

/** What the script prints when all programs have run. */
export const ALL_DONE = 'ALL-DONE';

/** The programs that print one of the named sections; all, if none is named. */
export function programsWith(names: readonly string[], bits: Bits): Program[] {
  const all = PROGRAMS.map((p) => ({ ...p, sections: sectionsOf(p, bits) }));
  if (names.length === 0) return all;
  return all.filter((p) => p.sections.some((s) => names.includes(s.name)));
}

export function sectionsOf(of: Program, bits: Bits): Section[] {
  return of.sections.filter((s) => bits === 32 || s.only32 !== true);
}

/** The shell script that runs them one after another. */
export function suiteScript(programs: readonly Program[]): string {
  const lines = programs.map((p) => `/bench/${p.name} ${p.argument}\n`);
  return `${lines.join('')}echo ${ALL_DONE}\n`;
}

function program(name: string, argument: number, sections: readonly Section[]): Program {
  return { name, source: `${name}.c`, argument, sections };
}

function floatingPoint(
  name: string,
  argument: number,
  tag: string,
  by: Record<Bits, readonly string[]>,
  [matmul, nbody]: readonly [string, string],
): Program {
  const common = ['-fno-math-errno', `-DTAG="${tag}"`];
  return {
    name,
    source: 'fp.c',
    argument,
    flags: { 32: [...common, ...by[32]], 64: [...common, ...by[64]] },
    sections: [
      { name: `matmul_${tag}`, checksum: matmul },
      { name: `nbody_${tag}`, checksum: nbody },
    ],
  };
}
