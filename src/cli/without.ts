// What `--without` means: parts of an interface that a run is to do without, as `xen-pv:mmuext_op.MMUEXT_PIN_L4_TABLE`.

import { InputError } from '../base/errors.ts';
import { findInterface, type InterfaceChoice, type Omitting, withoutParts } from '../lab/index.ts';

export const WITHOUT =
  'leave an entry point or a feature bit out of an interface: xen-pv:mmuext_op.MMUEXT_PIN_L4_TABLE';

interface Parts {
  /** Null: whichever interface is meant. */
  readonly on: InterfaceChoice | null;
  readonly names: readonly string[];
}

/** For commands with one interface: its name in front may be left away. */
export function withoutOption(on: InterfaceChoice, texts: readonly string[]): Omitting {
  const parts = texts.map(parse);
  const other = parts.find((part) => part.on !== null && part.on.interface !== on.interface);
  if (other) {
    throw new InputError(
      'cli/value',
      `--without names ${other.on?.interface.id}, and the run is on ${on.name}`,
      `say --on ${other.on?.interface.id}, or name an entry point of ${on.interface.id}.`,
    );
  }
  return withoutParts(
    on,
    parts.flatMap(({ names }) => names),
  );
}

/** For the matrix: a column of its own for each, next to the whole interface. */
export function withoutColumns(
  texts: readonly string[],
): { readonly on: string; readonly without: readonly string[] }[] {
  return texts.map((text) => {
    const { on, names } = parse(text);
    if (!on) {
      throw new InputError(
        'cli/value',
        `--without '${text}' does not say of which interface`,
        `say INTERFACE:${text}.`,
      );
    }
    withoutParts(on, names); // Refused now, or never.
    return { on: on.name, without: names };
  });
}

function parse(text: string): Parts {
  const [, id, list = ''] = /^(?:([^:]+):)?(.*)$/s.exec(text) ?? [];
  const names = list.split(',').map((name) => name.trim());
  return { on: id === undefined ? null : findInterface(id), names };
}
