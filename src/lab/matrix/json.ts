// The matrix as JSON, written and read back: a baseline comes from a file, so nothing of it is believed unchecked.

import * as v from 'valibot';
import { InputError } from '../../base/errors.ts';
import { COUNTED_GROUPS } from '../trace/tracer.ts';
import { type Cell, EXIT_KINDS, MATRIX_FORMAT, type Matrix, matrixSchema } from './cell.ts';

export function matrixOf(cells: readonly Cell[]): Matrix {
  return {
    format: MATRIX_FORMAT,
    exitKinds: [...EXIT_KINDS],
    operationGroups: [...COUNTED_GROUPS],
    kernels: [...new Set(cells.map(({ kernel }) => kernel))],
    interfaces: [...new Set(cells.map((cell) => cell.interface))],
    cells: [...cells],
  };
}

export const jsonOf = (cells: readonly Cell[]): string =>
  `${JSON.stringify(matrixOf(cells), null, 1)}\n`;

/** What JSON gave; `name` is the subject of errors. */
export function readMatrix(parsed: unknown, name: string): Matrix {
  const result = v.safeParse(matrixSchema, parsed, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw notMatrix(name, `${v.getDotPath(issue) ?? 'its root'}: ${issue.message.slice(0, 200)}`);
}

function notMatrix(name: string, why: string): InputError {
  return new InputError(
    'matrix/not-matrix',
    `${name} is not a result of pvops matrix: ${why}`,
    'make one with: pvops matrix KERNEL... --json FILE',
  );
}
