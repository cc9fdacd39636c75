// What `--machine`, `--disk`, `--net`, `--device` and `--bios` may say, and the sentences for what they may not.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseMachine, type MachineOptions } from './machine-options.ts';

let folder: string;
const path = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvops-machine-'));
  writeFileSync(path('image'), new Uint8Array(0x10000));
  writeFileSync(path('other'), new Uint8Array(0x10000));
  writeFileSync(path('short'), 'short');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the options of a machine', () => {
  it('fit disks in their order, with modes, buses and serial numbers of their own', async () => {
    const { fittings, close } = await chooseMachine({
      disk: [path('image'), `${path('other')},ide,cow`, `${path('other')},ro`],
    });
    close();
    expect(fittings.disks.map(({ bus, disk }) => [bus, disk.readOnly, disk.serial])).toEqual([
      ['virtio', false, 'PVOPS-0001'],
      ['ide', false, 'PVOPS-0002'],
      ['virtio', true, 'PVOPS-0003'],
    ]);
  });

  it('name network cards, extras and a BIOS, none twice that cannot be there twice', async () => {
    const { fittings, biosDigest } = await chooseMachine({
      net: ['none', 'link', 'null'],
      device: ['virtio-rng', 'virtio-rng'],
      bios: path('image'),
    });
    expect(fittings).toMatchObject({ nets: ['link', 'null'], extras: ['virtio-rng'] });
    expect(fittings.rom).toMatchObject({ name: 'image' });
    expect(biosDigest).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each<[keyof MachineOptions, readonly string[], string]>([
    ['disk', ['absent'], 'there is no such file'],
    ['disk', ['absent,cow'], 'there is no such file'],
    ['disk', ['short'], 'short has 5 bytes'],
    ['disk', ['image,raw'], '--disk cannot be'],
    ['disk', ['image,ro,cow'], '--disk cannot be'],
    ['disk', ['image', 'image,ro'], 'is given twice, and would be written'],
  ])('refuse %s %j in a sentence with a hint', async (option, values, words) => {
    const options = { [option]: values.map(path) };
    await expect(chooseMachine(options)).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining(words),
      hint: expect.stringMatching(/\.$|^make /),
    });
  });

  it.each([
    [{ machine: 'q35' }, '--machine cannot be "q35"'],
    [{ machine: 'bare' }, '--machine cannot be "bare"'],
    [{ net: ['tap'] }, '--net cannot be "tap"'],
    [{ device: ['gpu'] }, '--device cannot be "gpu"'],
    [{ disk: [',ro'] }, '--disk cannot be ",ro"'],
    [{ bios: '/absent' }, 'the BIOS "/absent" cannot be read'],
  ])('refuse %j', async (options, words) => {
    await expect(chooseMachine(options)).rejects.toMatchObject({
      message: expect.stringContaining(words),
    });
  });
});
