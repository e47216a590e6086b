// The addresses below /api/auth.

import { auth } from '../contract/auth';
import type { Route } from '../visit';
import { on } from '../visit';
import { logIn } from './login';
import { endOneSession, logOut, logOutEverywhere } from './logout';
import { changeMe, showMe, showSessions } from './me';
import { changePassword } from './password';
import { refresh } from './refresh';
import { register } from './register';

export const AUTH_ROUTES: readonly Route[] = [
  on(auth.register, register),
  on(auth.login, logIn),
  on(auth.refresh, refresh),
  on(auth.logout, logOut),
  on(auth.logoutAll, logOutEverywhere),
  on(auth.changePassword, changePassword),
  on(auth.me, showMe),
  on(auth.changeMe, changeMe),
  on(auth.sessions, showSessions),
  on(auth.endSession, endOneSession),
];
