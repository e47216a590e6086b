// What a rule or a shell answers when failure is to be expected. Throwing is for bugs.

export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

/** A success carrying `value`. */
export function ok<T>(value: T): Result<T, never> {
  return { ok: true, value };
}

/** A failure carrying `error`. */
export function fail<E>(error: E): Result<never, E> {
  return { ok: false, error };
}
