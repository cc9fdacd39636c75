// The machine models by name, and which of an interface's models a run gets for what is plugged into it.

import { InputError } from '../../base/errors.ts';
import { bareModel } from './bare.ts';
import type { Fittings, ModelDefinition, NetWire } from './define.ts';
import { microvmModel } from './microvm-model.ts';
import { pcModel } from './pc-model.ts';
import { pvhModel } from './pvh-model.ts';

export const MACHINE_MODELS = {
  microvm: microvmModel,
  pc: pcModel,
  bare: bareModel,
  pvh: pvhModel,
} as const;
export type MachineModelId = keyof typeof MACHINE_MODELS;

/**
 * The model that was asked for, or else the first of `allowed` that has room for everything. An `InputError` says what
 * there is no room for.
 */
export function chooseModel(
  asked: MachineModelId | null,
  allowed: readonly MachineModelId[],
  fittings: Fittings,
  interfaceName: string,
): ModelDefinition {
  if (asked !== null && !allowed.includes(asked)) {
    throw new InputError(
      'machine/not-there',
      `guests of ${interfaceName} do not run on a ${asked}`,
      `say --machine ${allowed.join(' or ')}, or leave it away.`,
    );
  }
  const candidates = (asked === null ? allowed : [asked]).map((id) => MACHINE_MODELS[id]);
  const fitting = candidates.find((model) => lacking(model, fittings) === null);
  if (fitting) return fitting;
  const last = candidates[candidates.length - 1]!;
  throw new InputError(
    'machine/no-room',
    `the machine ${last.id} has no room for ${lacking(last, fittings)}`,
    hintFor(allowed, fittings),
  );
}

function hintFor(allowed: readonly MachineModelId[], fittings: Fittings): string {
  const other = allowed.find((id) => lacking(MACHINE_MODELS[id], fittings) === null);
  return other ? `say --machine ${other}.` : 'give fewer, or run it on another interface.';
}

/** The first thing that the model has no room for, in words; null if everything fits. */
function lacking({ offers }: ModelDefinition, fittings: Fittings): string | null {
  if (fittings.rom && !offers.rom) return 'a BIOS';
  for (const bus of ['ide', 'virtio'] as const) {
    const wanted = fittings.disks.filter((disk) => disk.bus === bus).length;
    if (wanted > offers.disks[bus]) return counted(wanted, `${bus} disk`, offers.disks[bus]);
  }
  const nics = fittings.nets.reduce((sum, wire) => sum + NIC_COUNT[wire], 0);
  if (nics > offers.nics) return counted(nics, 'network card', offers.nics);
  for (const extra of fittings.extras) if (!offers.extras.includes(extra)) return `a ${extra}`;
  return null;
}

export const NIC_COUNT: Readonly<Record<NetWire, number>> = { null: 1, link: 2 };

function counted(wanted: number, what: string, most: number): string {
  const things =
    wanted === 1 ? `a${/^[aeio]/.test(what) ? 'n' : ''} ${what}` : `${wanted} ${what}s`;
  return most === 0 ? things : `${things}: it takes ${most} at most`;
}
