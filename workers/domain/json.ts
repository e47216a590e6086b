// Looking into JSON that somebody else wrote: nothing of it is taken for granted, nothing throws.

/** The value that `text` is; null where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The member of that name; undefined where there is none, or `value` has no members. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** `value` if it is a text; null for all else. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
