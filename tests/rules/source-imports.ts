// Finds everything that one source file loads from another: static, side-effect and dynamic imports, re-exports, workers.

import { type Token, tokenize } from './source-tokens.ts';

export interface Import {
  /** `null` when the path is computed and cannot be known here. */
  readonly specifier: string | null;
  /** `import type` and `export type`: erased, so they load nothing at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

export function importsOf(text: string): Import[] {
  const tokens = tokenize(text).filter((token) => token.kind !== 'comment');
  const imports: Import[] = [];
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== 'word' || isText(tokens[i - 1], '.')) continue;
    const found = importAt(tokens, i);
    if (found) imports.push({ ...found, line: token.line });
  }
  return imports;
}

function importAt(tokens: readonly Token[], i: number): Omit<Import, 'line'> | undefined {
  const word = tokens[i]?.text;
  const next = tokens[i + 1];
  if (word === 'require' && isText(next, '(')) return called(tokens, i + 2);
  if (word === 'new' && isText(next, 'URL')) return metaUrl(tokens, i + 2);
  if (word === 'import') {
    if (isText(next, '(')) return called(tokens, i + 2);
    if (next?.kind === 'string') return { specifier: unquote(next.text), typeOnly: false };
    return next?.kind === 'punct' && !'{*'.includes(next.text) ? undefined : from(tokens, i);
  }
  if (word !== 'export') return undefined;
  const clause = isText(next, 'type') ? tokens[i + 2] : next;
  return isText(clause, '{') || isText(clause, '*') ? from(tokens, i) : undefined;
}

/** The `from '...'` that ends the import or export clause which begins at `i`, if it has one. */
function from(tokens: readonly Token[], i: number): Omit<Import, 'line'> | undefined {
  const typeOnly = isText(tokens[i + 1], 'type') && !isText(tokens[i + 2], 'from');
  for (let at = i + 1; at < tokens.length; at++) {
    const token = tokens[at];
    if (isText(token, ';') || isText(token, '=') || isText(token, '(')) return undefined;
    const next = tokens[at + 1];
    if (isText(token, 'from') && next?.kind === 'string') {
      return { specifier: unquote(next.text), typeOnly };
    }
    // `export { a }` without `from`: what follows belongs to the next statement.
    if (isText(token, '}') && !isText(next, 'from')) return undefined;
  }
  return undefined;
}

function called(tokens: readonly Token[], at: number): Omit<Import, 'line'> {
  const path = tokens[at];
  const end = tokens[at + 1];
  const known = path?.kind === 'string' && (isText(end, ')') || isText(end, ','));
  return { specifier: known ? unquote(path.text) : null, typeOnly: false };
}

/** `new URL('./worker.ts', import.meta.url)`, by which bundlers find workers. */
function metaUrl(tokens: readonly Token[], at: number): Omit<Import, 'line'> | undefined {
  const [open, path, comma, meta] = tokens.slice(at, at + 4);
  const isMeta = isText(open, '(') && isText(comma, ',') && isText(meta, 'import');
  return isMeta && path?.kind === 'string'
    ? { specifier: unquote(path.text), typeOnly: false }
    : undefined;
}

const isText = (token: Token | undefined, text: string): boolean => token?.text === text;
const unquote = (text: string): string => text.slice(1, -1);
