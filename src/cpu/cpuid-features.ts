// CPUID feature bits by name: where each is, and which of them this CPU has.

export type Register = 'eax' | 'ebx' | 'ecx' | 'edx';

interface FeatureBit {
  readonly leaf: number;
  readonly subleaf: number;
  readonly register: Register;
  readonly bit: number;
}

const at = (leaf: number, subleaf: number, register: Register, bit: number): FeatureBit => ({
  leaf,
  subleaf,
  register,
  bit,
});
const d1 = (bit: number) => at(1, 0, 'edx', bit);
const c1 = (bit: number) => at(1, 0, 'ecx', bit);
const b7 = (bit: number) => at(7, 0, 'ebx', bit);
const ce1 = (bit: number) => at(0x80000001, 0, 'ecx', bit);
const de1 = (bit: number) => at(0x80000001, 0, 'edx', bit);
const be8 = (bit: number) => at(0x80000008, 0, 'ebx', bit);
const ae21 = (bit: number) => at(0x80000021, 0, 'eax', bit);

/** Names are those of /proc/cpuinfo where it has one; `Form.needs` uses them. SDM 2A CPUID, APM 3 E. */
export const FEATURE_BITS = {
  fpu: d1(0),
  vme: d1(1),
  de: d1(2),
  pse: d1(3),
  tsc: d1(4),
  msr: d1(5),
  pae: d1(6),
  mce: d1(7),
  cx8: d1(8),
  apic: d1(9),
  sep: d1(11),
  mtrr: d1(12),
  pge: d1(13),
  mca: d1(14),
  cmov: d1(15),
  pat: d1(16),
  pse36: d1(17),
  clflush: d1(19),
  mmx: d1(23),
  fxsr: d1(24),
  sse: d1(25),
  sse2: d1(26),
  ht: d1(28),
  sse3: c1(0),
  pclmulqdq: c1(1),
  monitor: c1(3),
  ssse3: c1(9),
  fma: c1(12),
  cx16: c1(13),
  pcid: c1(17),
  sse4_1: c1(19),
  sse4_2: c1(20),
  x2apic: c1(21),
  movbe: c1(22),
  popcnt: c1(23),
  tsc_deadline_timer: c1(24),
  aes: c1(25),
  xsave: c1(26),
  avx: c1(28),
  f16c: c1(29),
  rdrand: c1(30),
  hypervisor: c1(31),
  arat: at(6, 0, 'eax', 2),
  fsgsbase: b7(0),
  tsc_adjust: b7(1),
  bmi1: b7(3),
  avx2: b7(5),
  smep: b7(7),
  bmi2: b7(8),
  erms: b7(9),
  invpcid: b7(10),
  rdseed: b7(18),
  adx: b7(19),
  smap: b7(20),
  clflushopt: b7(23),
  clwb: b7(24),
  sha: b7(29),
  umip: at(7, 0, 'ecx', 2),
  pku: at(7, 0, 'ecx', 3),
  rdpid: at(7, 0, 'ecx', 22),
  fsrm: at(7, 0, 'edx', 4),
  xsaveopt: at(0xd, 1, 'eax', 0),
  xsavec: at(0xd, 1, 'eax', 1),
  xgetbv1: at(0xd, 1, 'eax', 2),
  lahf_lm: ce1(0),
  cr8_legacy: ce1(4),
  /** LZCNT, with POPCNT; /proc/cpuinfo's name. */
  abm: ce1(5),
  sse4a: ce1(6),
  '3dnowprefetch': ce1(8),
  topoext: ce1(22),
  syscall: de1(11),
  nx: de1(20),
  mmxext: de1(22),
  fxsr_opt: de1(25),
  pdpe1gb: de1(26),
  rdtscp: de1(27),
  lm: de1(29),
  constant_tsc: at(0x80000007, 0, 'edx', 8),
  /** XSAVE and FXSAVE always write the x87 error pointers: kernels need not clear them at a switch. */
  xsaveerptr: be8(2),
  ibrs_always_on: be8(16),
  ibrs_preferred: be8(18),
  ssb_no: be8(26),
  lfence_rdtsc: ae21(2),
  null_sel_clr_base: ae21(6),
  autoibrs: ae21(8),
  srso_no: ae21(29),
  tsa_sq_no: at(0x80000021, 0, 'ecx', 1),
  tsa_l1_no: at(0x80000021, 0, 'ecx', 2),
} as const satisfies Record<string, FeatureBit>;

export type FeatureName = keyof typeof FEATURE_BITS;

/**
 * What this CPU implements; a test compares the names that the instruction table needs with it. Machine devices add
 * `apic` and its relatives, interfaces `hypervisor`. MCE, MCA, VME and XSAVE (of x87 and SSE only) are left
 * out: kernels then have less to set up. So is BMI1, of which only TZCNT exists.
 */
export const IMPLEMENTED: readonly FeatureName[] = [
  'fpu',
  'de',
  'pse',
  'tsc',
  'msr',
  'pae',
  'cx8',
  'sep',
  'mtrr',
  'pge',
  'cmov',
  'pat',
  'pse36',
  'clflush',
  'mmx',
  'fxsr',
  'sse',
  'sse2',
  'sse3',
  'ssse3',
  'cx16',
  'pcid',
  'sse4_1',
  'sse4_2',
  'movbe',
  'popcnt',
  'fsgsbase',
  'tsc_adjust',
  'smep',
  'invpcid',
  'smap',
  'umip',
  'erms',
  'fsrm',
  'lahf_lm',
  'abm',
  '3dnowprefetch',
  'syscall',
  'nx',
  'pdpe1gb',
  'rdtscp',
  'lm',
  'constant_tsc',
  'xsaveerptr',
  'ssb_no',
  'lfence_rdtsc',
  'null_sel_clr_base',
  'autoibrs',
  'srso_no',
  'tsa_sq_no',
  'tsa_l1_no',
];
