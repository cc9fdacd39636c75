// Tests of the choice of a machine model: the least that has room, and a sentence where none has.

import { describe, expect, it } from 'vitest';
import { memoryStore, openDisk } from '../disk.ts';
import { type DiskBus, type Fittings, NO_FITTINGS } from './define.ts';
import { chooseModel, type MachineModelId } from './registry.ts';

const ROM = { name: 'bios.bin', bytes: new Uint8Array(65536) };
const HARDWARE = ['microvm', 'pc'] as const;
const disks = (bus: DiskBus, count: number): Fittings => ({
  ...NO_FITTINGS,
  disks: Array.from({ length: count }, () => ({
    bus,
    disk: openDisk(memoryStore(512), 'copy-on-write', 'd'),
  })),
});

describe('the machine model of a run', () => {
  it.each([
    [NO_FITTINGS, 'microvm'],
    [disks('ide', 1), 'pc'],
    [{ ...NO_FITTINGS, rom: ROM }, 'pc'],
    [{ ...NO_FITTINGS, nets: ['link'] as const }, 'pc'],
  ])('is the first with room for everything', (fittings, id) => {
    expect(chooseModel(null, HARDWARE, fittings, 'native').id).toBe(id);
  });

  it('is the one that was asked for, if everything fits', () => {
    expect(chooseModel('pc', HARDWARE, NO_FITTINGS, 'native').id).toBe('pc');
  });

  it.each<[MachineModelId | null, readonly MachineModelId[], Fittings, string]>([
    ['pc', ['bare'], NO_FITTINGS, 'guests of x do not run on a pc'],
    ['microvm', HARDWARE, disks('ide', 1), 'the machine microvm has no room for an ide disk'],
    [null, ['bare'], disks('virtio', 2), 'the machine bare has no room for 2 virtio disks'],
    [null, HARDWARE, disks('ide', 5), 'no room for 5 ide disks: it takes 4 at most'],
    ['microvm', HARDWARE, { ...NO_FITTINGS, rom: ROM }, 'no room for a BIOS'],
    [
      null,
      HARDWARE,
      { ...NO_FITTINGS, nets: ['link', 'link', 'link', 'link', 'null'] },
      '9 network cards',
    ],
    [null, ['microvm'], { ...NO_FITTINGS, extras: ['virtio-rng'] }, 'no room for a virtio-rng'],
  ])(
    'asked for %s of %j, is refused in a sentence with a hint',
    (asked, allowed, fittings, words) => {
      expect(() => chooseModel(asked, allowed, fittings, 'x')).toThrow(
        expect.objectContaining({
          name: 'InputError',
          message: expect.stringContaining(words),
          hint: expect.stringMatching(/^(say|give) /),
        }),
      );
    },
  );
});
