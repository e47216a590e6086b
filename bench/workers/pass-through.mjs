// The bare pass-through that everything is compared with: fetch, return the response. Nothing else.

export default {
  fetch(request, env) {
    const url = new URL(request.url);
    return fetch(new Request(`${env.UPSTREAM}${url.pathname}`, request));
  },
};
