// The options of `pvops run` that say what the machine is: its model, disks, network cards, extras and BIOS.

import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import { type DiskFile, openDiskFile, readUserFile, sha256OfBytes } from '../host/node/index.ts';
import {
  type DiskBus,
  type DiskMode,
  EXTRA_DEVICES,
  type Fittings,
  type MachineModelId,
  NET_WIRES,
  openDisk,
  type RomImage,
} from '../lab/index.ts';
import { badValue, parseChoice } from './values.ts';

export interface MachineOptions {
  readonly machine?: string;
  readonly disk?: readonly string[];
  readonly net?: readonly string[];
  readonly device?: readonly string[];
  readonly bios?: string;
}

export interface ChosenMachine {
  readonly machine?: MachineModelId;
  readonly fittings: Fittings;
  /** SHA-256 of the BIOS; empty without one. */
  readonly biosDigest: string;
  close(): void;
}

/** Those with devices: a machine without any is not a choice but what an interface asks for. */
const MODEL_IDS: readonly MachineModelId[] = ['microvm', 'pc'];
const MODES: Readonly<Record<string, DiskMode>> = { ro: 'read-only', cow: 'copy-on-write' };
const BUSES: Readonly<Record<string, DiskBus>> = { ide: 'ide', virtio: 'virtio' };

export function addMachineOptions(command: Command): Command {
  return command
    .option('--machine <model>', `${MODEL_IDS.join(' or ')}; the least in which everything fits`)
    .option(
      '--disk <file>',
      'an image as FILE[,ro|,cow][,ide|,virtio]: read-only, or copy-on-write and never written',
      collect,
    )
    .option('--net <wire>', `${NET_WIRES.join(' or ')} (two cards, joined), or none`, collect)
    .option('--device <name>', EXTRA_DEVICES.join(' or '), collect)
    .option('--bios <file>', 'a BIOS that boots from the first disk, instead of a kernel');
}

/** Disks stay open until `close`. */
export async function chooseMachine(options: MachineOptions): Promise<ChosenMachine> {
  const model =
    options.machine === undefined
      ? {}
      : { machine: parseChoice(options.machine, '--machine', MODEL_IDS) };
  const nets = (options.net ?? [])
    .filter((wire) => wire !== 'none')
    .map((wire) => parseChoice(wire, '--net', NET_WIRES));
  const extras = (options.device ?? []).map((name) => parseChoice(name, '--device', EXTRA_DEVICES));
  const rom = options.bios === undefined ? null : await readRom(options.bios);
  const wanted = (options.disk ?? []).map(parseDisk);
  refuseTwice(wanted);
  const files: DiskFile[] = [];
  const close = () => {
    for (const file of files) file.close();
  };
  try {
    const disks = wanted.map(({ path, mode, bus }, n) => {
      const file = openDiskFile(path, mode);
      files.push(file);
      return { bus, disk: openDisk(file, mode, path, n + 1) };
    });
    const fittings = { disks, nets, extras: [...new Set(extras)], rom };
    return { ...model, fittings, biosDigest: rom ? sha256OfBytes(rom.bytes) : '', close };
  } catch (error) {
    close();
    throw error;
  }
}

async function readRom(path: string): Promise<RomImage> {
  return { name: basename(path), bytes: await readUserFile(path, 'BIOS') };
}

interface WantedDisk {
  readonly path: string;
  readonly mode: DiskMode;
  readonly bus: DiskBus;
}

function parseDisk(text: string): WantedDisk {
  const [path = '', ...words] = text.split(',');
  let mode: DiskMode | null = null;
  let bus: DiskBus | null = null;
  for (const word of words) {
    if (Object.hasOwn(MODES, word) && mode === null) mode = MODES[word]!;
    else if (Object.hasOwn(BUSES, word) && bus === null) bus = BUSES[word]!;
    else
      throw badValue('--disk', text, 'FILE, then at most one of ,ro ,cow and one of ,ide ,virtio');
  }
  if (path === '') throw badValue('--disk', text, 'the path of an image before the first comma');
  return { path, mode: mode ?? 'read-write', bus: bus ?? 'virtio' };
}

/** Two disks over one file that either of them writes would be a file system's end. */
function refuseTwice(disks: readonly WantedDisk[]): void {
  const seen = new Map<string, boolean>();
  for (const { path, mode } of disks) {
    const real = realPath(path);
    const writes = mode === 'read-write';
    const before = seen.get(real);
    if (before !== undefined && (before || writes)) {
      throw new InputError(
        'cli/disk-twice',
        `the image ${JSON.stringify(path)} is given twice, and would be written`,
        'give it once, or say ,cow or ,ro each time.',
      );
    }
    seen.set(real, writes);
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // Opening it says what is wrong.
  }
}

export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];
