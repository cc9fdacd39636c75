// Start of day of 32-bit PAE guests: registers, start_info, page tables, Xen's part of them, and images that cannot be built.

import { describe, expect, it } from 'vitest';
import { InputError } from '../../base/errors.ts';
import { type Note, runProgram32, usualNotes32, VIRT_BASE_32 } from './testing/pv32-guest.ts';

const M2P = 0xf580_0000;
const XENMEM_machphys_mapping = 12;
/** start_info of 32-bit guests (xen.h). */
const AT = {
  nrPages: 32,
  flags: 40,
  ptBase: 60,
  nrPtFrames: 64,
  mfnList: 68,
  modStart: 72,
  modLen: 76,
  commandLine: 80,
};

it('the kernel is entered in ring 1 on flat segments, events masked, and calls by INT 0x82', () => {
  const { results, why, cpu } = runProgram32((p) =>
    [
      ...['cs', 'ss', 'ds', 'es', 'fs', 'gs'].map((name) => `mov eax, ${name}; ${p.keep('eax')}`),
      `pushfd; pop eax; and eax, 0x3200; ${p.keep('eax')}`,
      p.call('xen_version', 0, 0),
      p.call('none'),
      p.done,
    ].join('\n'),
  );
  const flat = [0xe019, 0xe021, 0xe021, 0xe021, 0xe021, 0xe021];
  expect(results).toEqual([...flat, 0x200, 0x4_0011, -38]);
  expect([why, cpu.state.get('cpl')]).toEqual([expect.stringContaining('poweroff'), 1]);
});

it('start_info tells of the domain in words of 32 bits, and the list of frames is the one that the tables map', () => {
  const { results } = runProgram32((p) =>
    [
      p.startInfo('eax', 0),
      p.keep('eax'),
      ...[AT.nrPages, AT.flags, AT.nrPtFrames].flatMap((at) => [
        p.startInfo('eax', at),
        p.keep('eax'),
      ]),
      p.startInfo('eax', AT.mfnList),
      // The frame of the page at 2 MiB, and what the table of machine frames says of it.
      `mov ecx, [eax + ${0x200 * 4}]; mov eax, ecx; sub eax, ${p.mfn(0)}; ${p.keep('eax')}`,
      `mov eax, [ecx * 4 + ${M2P}]; ${p.keep('eax')}`,
      p.done,
    ].join('\n'),
  );
  // "xen-"; 8 MiB; L3, one L2 for the kernel and Xen alike, two L1.
  expect(results).toEqual([0x2d6e6578, 2048, 0, 4, 0, 0x200]);
});

it('Xen says where its part and its table are', () => {
  const { results } = runProgram32((p) =>
    [
      p.call('memory_op', XENMEM_machphys_mapping, p.page(0)),
      ...[0, 4, 8].map((at) => `mov eax, [${p.page(0) + at}]; ${p.keep('eax')}`),
      p.call('xen_version', 5, p.page(1)),
      `mov eax, [${p.page(1)}]; ${p.keep('eax')}`,
      p.done,
    ].join('\n'),
  );
  const end = 0xffe0_0000;
  expect(results.map((n) => n >>> 0)).toEqual([0, M2P, end, (end - M2P) / 4 - 1, 0, M2P]);
});

it('a kernel mapped below the last GiB has the L2 with Xen in it as well', () => {
  const { results } = runProgram32(
    (p) =>
      [
        p.startInfo('eax', AT.nrPtFrames),
        p.keep('eax'),
        `mov eax, [${p.mfn(3) * 4 + M2P}]; ${p.keep('eax')}`,
        // The L3: slots 0 and 3 are there.
        p.startInfo('ecx', AT.ptBase),
        ...[0, 8, 16, 24].map((at) => `mov eax, [ecx + ${at}]; and eax, 1; ${p.keep('eax')}`),
        p.done,
      ].join('\n'),
    { virtBase: 0 },
  );
  expect(results).toEqual([5, 0x203, 1, 0, 0, 1]);
});

it('an initrd is mapped, and start_info has its address, its length and the command line', () => {
  const { results } = runProgram32(
    (p) =>
      [
        p.startInfo('ecx', AT.modStart),
        `mov eax, [ecx + 5000]; ${p.keep('eax')}`,
        p.startInfo('eax', AT.modLen),
        p.keep('eax'),
        p.startInfo('eax', AT.commandLine),
        p.keep('eax'),
        p.done,
      ].join('\n'),
    { initrd: new Uint8Array(6000).fill(0x5a), commandLine: 'root' },
  );
  expect(results).toEqual([0x5a5a_5a5a, 6000, 0x746f_6f72]);
});

/** Setup code of one sector, and the vmlinux behind the system part's first bytes (boot protocol 2.8). */
function bzImageOf(elf: Uint8Array): Uint8Array {
  const systemAt = 1024;
  const payloadAt = 64;
  const image = new Uint8Array(systemAt + payloadAt + elf.length);
  const view = new DataView(image.buffer);
  view.setUint8(0x1f1, 1);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x5372_6448, true);
  view.setUint16(0x206, 0x0208, true);
  view.setUint8(0x201, 0x60);
  view.setUint32(0x248, payloadAt, true);
  view.setUint32(0x24c, elf.length, true);
  image.set(elf, systemAt + payloadAt);
  return image;
}

describe('an image', () => {
  const program = (p: { done: string }) => p.done;

  it('with the older section is built as one with notes', () => {
    const section = `GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0x${VIRT_BASE_32.toString(16)},PAE=yes[extended-cr3],LOADER=generic`;
    expect(runProgram32(program, { section }).why).toContain('poweroff');
  });

  it('in a bzImage is found there', () => {
    expect(runProgram32(program, { pack: bzImageOf }).why).toContain('poweroff');
  });

  it('that says bimodal has PAE', () => {
    const notes = usualNotes32().map((note) => (note[0] === 9 ? ([9, 'bimodal'] as const) : note));
    expect(runProgram32(program, { notes }).why).toContain('poweroff');
  });

  it('without PAE is refused in a sentence', () => {
    const notes = usualNotes32().filter(([type]) => type !== 9);
    expect(() => runProgram32(program, { notes })).toThrowError(
      expect.objectContaining({ code: 'xen-pv/pae' }) as InputError,
    );
  });

  it('for another loader or an older Xen is refused, and Linux needs to name no loader', () => {
    const but = (...changed: readonly Note[]) => [
      ...usualNotes32().filter(([type]) => !changed.some(([other]) => other === type)),
      ...changed,
    ];
    const [GUEST_OS, XEN_VERSION, LOADER] = [6, 5, 8];
    for (const notes of [
      but([XEN_VERSION, 'xen-2.0']),
      but([XEN_VERSION, '']),
      but([LOADER, 'netbsd']),
      but([LOADER, ''], [GUEST_OS, 'netbsd']),
    ])
      expect(() => runProgram32(program, { notes })).toThrowError(
        expect.objectContaining({ code: 'xen-pv/notes' }) as InputError,
      );
    const linux = but([LOADER, ''], [GUEST_OS, 'linux']);
    expect(runProgram32(program, { notes: linux }).why).toContain('poweroff');
  });

  it('with its entry outside itself, or its list of frames within, is refused in a sentence', () => {
    const [ENTRY, INIT_P2M] = [1, 15];
    const others = usualNotes32().filter(([type]) => type !== ENTRY);
    for (const entry of [0, VIRT_BASE_32, VIRT_BASE_32 + 0x70_0000])
      expect(() => runProgram32(program, { notes: [...others, [ENTRY, entry]] })).toThrow(
        /has its entry at 0x[0-9a-f]+, outside itself/,
      );
    const notes: readonly Note[] = [...usualNotes32(), [INIT_P2M, VIRT_BASE_32 + 0x20_0000]];
    expect(() => runProgram32(program, { notes })).toThrow('where it lies itself');
  });

  it('that would reach into Xen is refused in a sentence', () => {
    for (const virtBase of [0xf560_0000, 0xf580_0000, 0xffff_f000])
      expect(() => runProgram32(program, { virtBase })).toThrow(InputError);
  });

  it('has its hypercall page filled with calls, and a slot for iret', () => {
    const { results } = runProgram32(
      (p) =>
        [
          `mov ebx, 0; mov ecx, 0; mov eax, ${p.page(9) + 17 * 32}; call eax; ${p.keep('eax')}`,
          `mov eax, [${p.page(9) + 23 * 32}]; ${p.keep('eax')}`,
          p.done,
        ].join('\n'),
      { notes: [...usualNotes32(), [2, VIRT_BASE_32 + 0x20_9000]] },
    );
    // push eax; mov eax, 23.
    expect(results).toEqual([0x4_0011, 0x0017b850]);
  });
});
