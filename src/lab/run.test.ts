// Runs of tiny guests, good and bad, from spec to verdict.

import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../base/sha256.ts';
import { findInterface } from '../hypervisors/index.ts';
import { tinyBzImage } from '../hypervisors/testing/tiny-bzimage.ts';
import { openKernel } from '../image/index.ts';
import { type DiskMode, memoryStore, NO_FITTINGS, openDisk } from '../machine/index.ts';
import { runKernel } from './run.ts';
import type { RunSpec } from './spec.ts';
import {
  CLI_LOOP,
  KeepingConsole,
  printing,
  stillHost,
  tinyElf,
  tinyKernel,
  tinySpec,
  UD2,
} from './testing/tiny-kernel.ts';

const HLT = 0xf4;
/** mov eax, imm32; jmp eax. */
const jumpTo = (gpa: number) => [
  ...[0xb8, gpa & 0xff, (gpa >>> 8) & 0xff, (gpa >>> 16) & 0xff, gpa >>> 24],
  ...[0xff, 0xe0],
];
/** mov al, imm8; out imm8, al. */
const outByte = (port: number, value: number) => [0xb0, value, 0xe6, port];

async function run(code: readonly number[], changes: Partial<RunSpec> = {}) {
  const console = new KeepingConsole();
  const result = await runKernel(stillHost, console, tinySpec(code, changes));
  return { ...result, text: console.text };
}

describe('a guest that prints the marker', () => {
  const code = [...printing('hello\nINIT-UP uptime=1\n'), ...CLI_LOOP];

  it('is up, and its console was passed on and digested', async () => {
    const result = await run(code);
    expect(result).toMatchObject({
      verdict: 'up',
      timedOut: false,
      interface: 'native',
      vcpu: null,
    });
    expect(result.text).toBe('hello\nINIT-UP uptime=1\n');
    expect(result.consoleBytes).toBe(result.text.length);
    expect(result.consoleDigest).toBe(sha256Hex(Buffer.from(result.text)));
    expect(result.lastLines).toEqual(['hello', 'INIT-UP uptime=1']);
  });

  it('stops behind the instruction that completed the line', async () => {
    const result = await run(code);
    expect(result.instructions).toBe(1 + 2 * 'hello\nINIT-UP uptime=1\n'.length);
    expect(result.exits.io).toBe('hello\nINIT-UP uptime=1\n'.length);
  });

  it('leaves the same state on both engines, and another after one instruction more', async () => {
    const interpreter = await run(code);
    const reference = await run(code, { engine: 'reference' });
    const longer = await run([0x90, ...code]);
    expect(reference.stateHash).toBe(interpreter.stateHash);
    expect(reference.instructions).toBe(interpreter.instructions);
    expect(longer.stateHash).not.toBe(interpreter.stateHash);
  });

  it('is blind on an interface that it never used, and the verdict names the CONFIG', async () => {
    const result = await run(code, { on: findInterface('kvm') });
    expect(result.verdict).toBe('blind');
    expect(result.reason).toContain('CONFIG_KVM_GUEST');
  });

  it('is not blind once it has read the features leaf', async () => {
    const cpuid = [0xb8, 0x01, 0x00, 0x00, 0x40, 0x0f, 0xa2]; // mov eax, 0x40000001; cpuid
    const result = await run([...cpuid, ...code], { on: findInterface('kvm') });
    expect(result).toMatchObject({ verdict: 'up', interface: 'kvm@6.1' });
    expect(result.exits.cpuid).toBe(1);
  });

  it('is absent, and does not run, if its configuration lacks what the interface needs', async () => {
    const kernel = { ...tinyKernel(code), config: () => new Map([['CONFIG_PARAVIRT', 'y']]) };
    const result = await run(code, { kernel, on: findInterface('kvm') });
    expect(result).toMatchObject({ verdict: 'absent', instructions: 0 });
    expect(result.reason).toContain('CONFIG_KVM_GUEST');
    expect(result.reason).not.toContain('CONFIG_PARAVIRT ');
  });

  it('is absent, and no wrong input, if the interface would refuse its image', async () => {
    const kernel = { ...tinyKernel(code), config: () => new Map([['CONFIG_PARAVIRT', 'y']]) };
    const result = await run(code, { kernel, on: findInterface('xen-pv') });
    expect(result).toMatchObject({ verdict: 'absent', instructions: 0 });
    expect(result.reason).toContain('CONFIG_XEN_PV');
  });

  it('is judged by the expected text if there is one, and by the fail text first', async () => {
    expect((await run(code, { expectText: 'hello' })).instructions).toBe(11);
    expect((await run(code, { expectText: 'goodbye' })).verdict).toBe('hung');
    const failed = await run(code, { failText: 'hell' });
    expect(failed).toMatchObject({ verdict: 'panic', reason: "the console printed 'hell'" });
  });
});

describe('a guest that goes wrong', () => {
  it('has panicked when it triple-faults, and the report has the vCPU', async () => {
    const result = await run([...printing('last words'), ...UD2]);
    expect(result.verdict).toBe('panic');
    expect(result.reason).toContain('triple fault');
    expect(result.lastLines).toEqual(['last words']);
    expect(result.vcpu).toContain('RIP=0000000000100022');
    expect(result.vcpu).toContain('Code=0f 0b');
  });

  it('has panicked when it prints what Linux prints', async () => {
    const text = 'Kernel panic - not syncing: VFS\n';
    const result = await run([...printing(text), ...outByte(0x64, 0xfe), ...CLI_LOOP]);
    expect(result).toMatchObject({ verdict: 'panic', timedOut: false });
    expect(result.reason).toContain('not syncing');
  });

  it('has panicked when it resets itself before the marker', async () => {
    const result = await run([...outByte(0x64, 0xfe), ...CLI_LOOP]);
    expect(result).toMatchObject({ verdict: 'panic' });
    expect(result.reason).toContain(') before it reached INIT-UP');
  });

  it('has hung when it halts with interrupts off', async () => {
    const result = await run([0xfa, HLT]);
    expect(result).toMatchObject({ verdict: 'hung', timedOut: false });
  });

  it('has hung, whatever its packed part holds, where symbols would be looked for', async () => {
    const file = tinyBzImage({ code16: 'cli; hlt', system: [0x1f, 0x8b, 8, 0xff, 1, 2, 3, 4] });
    new DataView(file.buffer).setUint32(0x24c, 8, true); // payload_length; it begins at 0.
    new DataView(file.buffer).setUint16(0x20e, 0x100, true); // kernel_version
    file.set([0x36, 0x2e, 0x31], 0x300);
    const kernel = openKernel(file, 'damaged');
    const result = await run([], { kernel, boot: 'setup' });
    expect(result).toMatchObject({ verdict: 'hung', timedOut: false });
  });

  it('has hung when it halts with interrupts on and nothing can interrupt it', async () => {
    const result = await run([0xfb, HLT, 0xeb, 0xfd]);
    expect(result.verdict).toBe('hung');
  });

  it('runs out of guest time in a loop with interrupts off', async () => {
    const result = await run(CLI_LOOP);
    expect(result).toMatchObject({ verdict: 'hung', timedOut: true, guestSeconds: 0.01 });
    expect(result.vcpu).toContain('Code=eb fe');
  });

  it('runs out of host time too', async () => {
    let seconds = 0;
    const host = { ...stillHost, cpuSeconds: () => seconds++ };
    const spec = tinySpec(CLI_LOOP, { timeoutSeconds: 1000, hostCpuSeconds: 3 });
    const result = await runKernel(host, new KeepingConsole(), spec);
    expect(result).toMatchObject({ verdict: 'hung', timedOut: true });
    expect(result.reason).toContain('CPU seconds of the host');
  });

  it('may flood the console, which is passed on in bounded pieces', async () => {
    const pieces: number[] = [];
    const console = new KeepingConsole();
    console.write = async (bytes) => {
      pieces.push(bytes.length);
    };
    const spec = tinySpec([...printing('x'), 0xee, 0xeb, 0xfd], { timeoutSeconds: 0.0005 });
    const result = await runKernel(stillHost, console, spec);
    expect(result).toMatchObject({ verdict: 'hung', timedOut: true });
    expect(result.consoleBytes).toBeGreaterThan(200_000);
    expect(pieces.reduce((a, b) => a + b)).toBe(result.consoleBytes);
    expect(Math.max(...pieces)).toBeLessThanOrEqual(65536);
    expect(result.lastLines[0]!.length).toBeLessThanOrEqual(400);
  });

  it('gets a verdict when it jumps to a device or beyond memory', async () => {
    for (const gpa of [0xfee00000, 0xa0000, 0xfffffff0, 0x40000000]) {
      const result = await run(jumpTo(gpa));
      expect(result.verdict).toBe('panic');
      expect(result.vcpu).not.toBeNull();
    }
  });
});

describe('start of day', () => {
  it('hands a kernel without the PVH note the zero page in long mode', async () => {
    // cmp dword [rsi+0x202], "HdrS"; jne to ud2; then prints the marker.
    const check = [0x81, 0xbe, 0x02, 0x02, 0, 0, 0x48, 0x64, 0x72, 0x53, 0x74, 0x02, ...UD2];
    const code = [...check, ...printing('INIT-UP\n'), ...CLI_LOOP];
    const kernel = openKernel(tinyElf(code, false), 'tiny');
    const result = await run(code, { kernel });
    expect(result.verdict).toBe('up');
  });

  it('refuses a kernel larger than memory', async () => {
    const kernel = openKernel(tinyElf(UD2, true, 64 << 20), 'big');
    await expect(run(UD2, { kernel })).rejects.toMatchObject({ code: 'boot/kernel-too-large' });
  });

  it('refuses an initrd that does not fit above the kernel', async () => {
    const initrd = new Uint8Array(16 << 20);
    await expect(run(UD2, { initrd })).rejects.toMatchObject({ code: 'boot/initrd-too-large' });
  });

  it('refuses a command line that is too long or not text', async () => {
    const append = 'x'.repeat(4096);
    await expect(run(UD2, { append })).rejects.toMatchObject({
      code: 'boot/command-line-too-long',
    });
    await expect(run(UD2, { append: 'a\nb' })).rejects.toMatchObject({
      code: 'boot/command-line-text',
    });
  });
});

describe('the machine model', () => {
  it('is a microvm unless something asks for more, and results name it', async () => {
    const code = [...printing('INIT-UP\n'), ...CLI_LOOP];
    expect((await run(code)).machine).toBe('microvm');
    const onPc = await run(code, { machine: 'pc' });
    expect(onPc).toMatchObject({ machine: 'pc', verdict: 'up' });
  });

  it('that the interface does not allow is refused', async () => {
    await expect(run(UD2, { machine: 'bare' })).rejects.toMatchObject({
      code: 'machine/not-there',
    });
  });
});

describe('a disk', () => {
  /** Writes the guest's first 512 bytes to sector 0 of the first IDE disk (ATA-6 8.62), and then prints. */
  const out = (port: number, value: number) => [0x66, 0xba, port, 1, 0xb0, value, 0xee];
  const [poll, status] = [[0x66, 0xba, 0xf7, 1], 0xec];
  const code = [
    ...[[0xf6, 0xe0] as const, [0xf2, 1], [0xf3, 0], [0xf4, 0], [0xf5, 0], [0xf7, 0x30]].flatMap(
      ([port = 0, value = 0]) => out(port, value),
    ),
    ...[...poll, status, 0xa8, 8, 0x74, 0xfb], // until DRQ
    ...[0xbe, 0, 0, 0x10, 0, 0xb9, 0, 1, 0, 0, 0x66, 0xba, 0xf0, 1, 0xf3, 0x66, 0x6f], // rep outsw
    ...[...poll, status, 0xa8, 0x80, 0x75, 0xfb], // until not BSY
    ...[...printing('INIT-UP\n'), ...CLI_LOOP],
  ];

  async function runOn(mode: DiskMode) {
    const image = new Uint8Array(1 << 20);
    const disk = openDisk(memoryStore(image), mode, 'd');
    const fittings = { ...NO_FITTINGS, disks: [{ bus: 'ide', disk }] } as const;
    const result = await run(code, { fittings });
    expect(result).toMatchObject({ verdict: 'up', machine: 'pc' });
    return { result, first: Array.from(image.subarray(0, code.length)) };
  }

  it('has in its file what the guest wrote', async () => {
    expect((await runOn('read-write')).first).toEqual(code);
  });

  it('that is copied on write leaves the file alone, and equal runs end in equal states', async () => {
    const [one, two] = [await runOn('copy-on-write'), await runOn('copy-on-write')];
    expect(one.first.every((byte) => byte === 0)).toBe(true);
    expect(two.result.stateHash).toBe(one.result.stateHash);
    expect(two.result.instructions).toBe(one.result.instructions);
  });
});

describe('a BIOS', () => {
  /** 64 KiB that end at f000:ffff; the reset vector jumps to their start, which prints. */
  function rom(text: string) {
    const bytes = new Uint8Array(0x10000).fill(0xf4);
    const out = Array.from(text, (c) => [0xb0, c.charCodeAt(0), 0xee]).flat();
    bytes.set([0xba, 0xf8, 0x03, ...out, ...CLI_LOOP]);
    bytes.set([0xe9, 0x0d, 0x00], 0xfff0);
    return { ...NO_FITTINGS, rom: { name: 'bios.bin', bytes } };
  }

  it('starts the machine at the reset vector, without a kernel', async () => {
    const result = await run([], { kernel: null, fittings: rom('INIT-UP\n') });
    expect(result).toMatchObject({ verdict: 'up', machine: 'pc', instructions: 2 + 2 * 8 });
    expect(result.kernel.name).toBe('bios.bin');
  });

  it('and a kernel are one too many, and neither is one too few', async () => {
    await expect(run(UD2, { fittings: rom('') })).rejects.toMatchObject({ code: 'run/two-starts' });
    await expect(run([], { kernel: null })).rejects.toMatchObject({ code: 'run/no-start' });
  });
});

describe('numbers beyond reason', () => {
  it.each([
    ['memoryBytes', 0],
    ['memoryBytes', 8 << 20],
    ['memoryBytes', 4 * 2 ** 30],
    ['memoryBytes', (512 << 20) + 1],
    ['memoryBytes', Number.NaN],
    ['timeoutSeconds', 0],
    ['timeoutSeconds', 1e9],
    ['seed', -1],
    ['seed', 1.5],
  ])('%s = %d is refused', async (name, value) => {
    await expect(run(UD2, { [name]: value })).rejects.toMatchObject({ name: 'InputError' });
  });
});

describe('scripted input', () => {
  it('reaches the guest when it is quiet, and equal runs get it at equal counts', async () => {
    // mov ecx, 4096; mov edi, 0x200000; rep stosb, which passes time; in al, dx (LSR); test al, 1; jz; then reads,
    // echoes and begins again.
    const wait = [0xb9, 0x00, 0x10, 0x00, 0x00, 0xbf, 0x00, 0x00, 0x20, 0x00, 0xf3, 0xaa];
    const echo = [0xb2, 0xfd, 0xec, 0xa8, 0x01, 0x74, 0xed, 0xb2, 0xf8, 0xec, 0xee, 0xeb, 0xe7];
    const code = [...printing('INIT-UP\n'), ...wait, ...echo];
    const script = { kind: 'script', bytes: Buffer.from('ab\n') } as const;
    const changes = { input: script, expectText: 'ab', timeoutSeconds: 1 };
    const [one, two] = [await run(code, changes), await run(code, changes)];
    expect(one.text).toBe('INIT-UP\nab');
    expect(one.verdict).toBe('up');
    expect([two.instructions, two.stateHash]).toEqual([one.instructions, one.stateHash]);
  });
});
