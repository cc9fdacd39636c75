// What is driven with nonsense, by name: machines, single devices, interfaces, whole guests, files. One seed, one answer.

import { InputError } from '../../src/base/errors.ts';
import { lguest } from '../../src/hypervisors/lguest/index.ts';
import { vmi } from '../../src/hypervisors/vmi/index.ts';
import { build, MODELS } from './board.ts';
import { Chance } from './chance.ts';
import { drive } from './drive.ts';
import { interfaceNames, runNonsense, WAYS } from './guest.ts';
import { driveImage, samples } from './image.ts';
import { driveInterface } from './interface.ts';
import { LguestCalls } from './lguest.ts';
import { PvCalls } from './pv-calls.ts';
import { drivePvStart } from './pv-start.ts';
import { VmiCalls } from './vmi-calls.ts';
import type { WorkCounter } from './work.ts';

export interface Subject {
  readonly name: string;
  /** Null if the seed did no harm, else what went wrong. Whatever is thrown went wrong, too. */
  drive(seed: number, counter?: WorkCounter): string | null | Promise<string | null>;
}

const MACHINE_STEPS = 1000;
const DEVICE_STEPS = 300;
const CALLS = 2000;
const ENTRIES = 500;
const IMAGES = 100;
const PV_CALLS = 500;

export function subjects(): readonly Subject[] {
  return [
    ...machines(),
    ...interfaces(),
    ...entryPoints(),
    ...pvDomains(),
    ...guests(),
    ...images(),
  ];
}

/** Each machine as a whole, and each device of it alone, where it meets more in less time. */
function machines(): Subject[] {
  return MODELS.flatMap((model) => {
    const devices = [...new Set(build(model).seats.map(({ device }) => device))];
    const whole: Subject = {
      name: `machine:${model}`,
      drive: (seed, counter) => drive({ model, seed, steps: MACHINE_STEPS, counter }),
    };
    const alone = devices.map((device): Subject => {
      const name = `device:${model}:${device.replaceAll(' ', '-')}`;
      return {
        name,
        drive: (seed, counter) =>
          drive({ model, seed, steps: DEVICE_STEPS, only: device, counter }),
      };
    });
    return [whole, ...alone];
  });
}

function interfaces(): Subject[] {
  return interfaceNames().map((on) => ({
    name: `interface:${on}`,
    drive: (seed) => driveInterface({ on, steps: CALLS, chance: new Chance(seed) }),
  }));
}

/** Every entry point of the interfaces of 32 bits, each on one machine that is put back for a seed. */
function entryPoints(): Subject[] {
  const makers = [
    ...lguest.versions.map((version) => ({
      name: `lguest@${version}`,
      make: () => new LguestCalls(version),
    })),
    ...vmi.versions.map((version) => ({
      name: `vmi@${version}`,
      make: () => new VmiCalls(version),
    })),
  ];
  return makers.map(({ name, make }) => {
    let calls: LguestCalls | VmiCalls | null = null;
    return {
      name: `entries:${name}`,
      drive(seed) {
        calls ??= make();
        return calls.drive(new Chance(seed), ENTRIES);
      },
    };
  });
}

/** Xen PV domains of both widths: their calls, each on one machine that is put back for a seed, and damaged images. */
function pvDomains(): Subject[] {
  return [false, true].flatMap((narrow) => {
    const width = narrow ? 32 : 64;
    let domain: PvCalls | null = null;
    return [
      {
        name: `pv-calls:${width}`,
        drive(seed: number) {
          domain ??= new PvCalls(narrow);
          return domain.drive(new Chance(seed), PV_CALLS);
        },
      },
      {
        name: `pv-start:${width}`,
        drive: (seed: number) => drivePvStart(narrow, new Chance(seed)),
      },
    ];
  });
}

function guests(): Subject[] {
  return interfaceNames().flatMap((on) =>
    WAYS.map((way) => ({
      name: `guest:${on}:${way}`,
      async drive(seed: number) {
        const engine = seed % 2 === 0 ? 'jit' : 'interpreter';
        try {
          const chance = new Chance(seed);
          const { verdict, reason } = await runNonsense({ way, on, engine, chance });
          return verdict === 'error' ? `${verdict}: ${reason}` : null;
        } catch (error) {
          if (error instanceof InputError) return null; // Not every interface takes every image.
          throw error;
        }
      },
    })),
  );
}

/** A hundred damaged copies a seed: one takes a millisecond or so. */
function images(): Subject[] {
  return samples().map((sample) => ({
    name: `image:${sample.name}`,
    drive(seed) {
      for (let n = 0; n < IMAGES; n++) {
        const one = seed * IMAGES + n;
        try {
          driveImage(sample, one);
        } catch (error) {
          return `copy ${one}: ${error instanceof Error ? error.stack : String(error)}`;
        }
      }
      return null;
    },
  }));
}
