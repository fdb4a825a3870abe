/* The limit of the group `depth`: the gradient of a deep tanh network, by hand, for one core.

       x_l = tanh(W_l x_{l-1} + b_l),   l = 1 … depth,   loss = mean (x_N - y)²

   Compiled for one width and one batch, so that every loop has a known length: -DWIDTH=8
   -DBATCH=32. An example is a row, its n states the columns. Where n is a multiple of a vector's
   length there are three products a layer, all by one register-tiled kernel: X Wᵀ (W transposed,
   which costs little), μᵀ X and μ W. A batch of one has products of a matrix and a vector instead.
   Other widths take plain loops with the batch innermost, which the compiler vectorises.

   The caller allots everything: `states` (depth + 1)·BATCH·WIDTH, the gradients as the parameters,
   (depth, n, n) and (depth, n), aligned to 64 bytes. */

#ifdef __AVX__
#include <immintrin.h>
#endif

#define LANES 8
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 64")

enum { n = WIDTH, batch = BATCH, size = WIDTH * BATCH };

/* Rational, of least largest relative error on |z| ≤ 7.3: 1e-6 everywhere, rounding included. Works
   on vectors too. */
#define TANH(z, s)                                                                                 \
  ((z) *                                                                                           \
   (0.999999934820976f +                                                                           \
    (s) * (0.1298571680948187f + (s) * (0.0030163880788518f + (s) * 1.216123446e-5f))) /           \
   (1.0f + (s) * (0.4631899398323633f +                                                            \
                  (s) * (0.0240805130720568f +                                                     \
                         (s) * (2.4805074888e-4f + (s) * 2.6997984e-7f)))))
#define END 7.3f

#if WIDTH % LANES == 0 /* ---- whole vectors ---- */

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

enum { vectors = n / LANES };

INLINE vector load(const float *a) { return *(const loose *)a; }
INLINE void store(float *a, vector v) { *(loose *)a = v; }

/* What does not stay in the cache until somebody wants it goes past it. */
INLINE void put(float *a, vector v, int far) {
#ifdef __AVX__
  if (far) return _mm256_stream_ps(a, (__m256)v);
#endif
  (void)far;
  store(a, v);
}

INLINE vector hyperbolic_tangent(vector z) {
  UNROLLED for (int i = 0; i < LANES; i++) z[i] = z[i] > END ? END : z[i] < -END ? -END : z[i];
  vector s = z * z;
  return TANH(z, s);
}

/* Rows into columns, in three rounds of pairs. */
INLINE void transpose(vector *r) {
  vector t[LANES];
  UNROLLED for (int i = 0; i < 4; i++) {
    t[2 * i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    t[2 * i + 1] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  UNROLLED for (int i = 0; i < 8; i++) {
    int k = i % 2 + i / 4 * 4;
    r[i] = i % 4 < 2 ? __builtin_shufflevector(t[k], t[k + 2], 0, 1, 8, 9, 4, 5, 12, 13)
                     : __builtin_shufflevector(t[k], t[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  UNROLLED for (int i = 0; i < 4; i++) {
    t[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    t[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  UNROLLED for (int i = 0; i < LANES; i++) r[i] = t[i];
}

/* The sum of each of eight vectors: the same rounds, adding what falls into one column. */
INLINE vector sums(const vector *r) {
  vector t[4], u[2];
  UNROLLED for (int i = 0; i < 4; i++)
    t[i] = __builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
           __builtin_shufflevector(r[2 * i], r[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  UNROLLED for (int i = 0; i < 2; i++)
    u[i] = __builtin_shufflevector(t[2 * i], t[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
           __builtin_shufflevector(t[2 * i], t[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
  return __builtin_shufflevector(u[0], u[1], 0, 1, 2, 3, 8, 9, 10, 11) +
         __builtin_shufflevector(u[0], u[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

#if BATCH > 1

/* eight sums: two a cycle, four cycles each */
enum { WIDE = vectors % 2 ? 1 : 2, ROWS = WIDE == 2 ? 4 : 8 };

/* A tile of C = start + A B in registers; A[r, k] is a[r·down + k·right], B is (inner, n). */
INLINE void tile(float *c, int rows, const float *a, int down, int right, const float *b, int inner,
                 const float *start, int far) {
  vector sum[ROWS][WIDE];
  UNROLLED for (int r = 0; r < rows; r++)
    UNROLLED for (int v = 0; v < WIDE; v++)
      sum[r][v] = start ? load(start + v * LANES) : (vector){};
  for (int k = 0; k < inner; k++) {
    vector row[WIDE];
    UNROLLED for (int v = 0; v < WIDE; v++) row[v] = load(b + k * n + v * LANES);
    __asm__ volatile("" ::: "memory"); /* or the compiler reads the row again for every product */
    UNROLLED for (int r = 0; r < rows; r++)
      UNROLLED for (int v = 0; v < WIDE; v++) sum[r][v] += a[r * down + k * right] * row[v];
  }
  UNROLLED for (int r = 0; r < rows; r++)
    UNROLLED for (int v = 0; v < WIDE; v++) put(c + r * n + v * LANES, sum[r][v], far);
}

/* C (rows, n) = start + A B. */
INLINE void product(float *c, int rows, const float *a, int down, int right, const float *b,
                    int inner, const float *start, int far) {
  for (int j = 0; j < n; j += WIDE * LANES) {
    const float *first = start ? start + j : 0;
    int r = 0;
    for (; r + ROWS <= rows; r += ROWS)
      tile(c + r * n + j, ROWS, a + r * down, down, right, b + j, inner, first, far);
    if (rows % ROWS)
      tile(c + r * n + j, rows % ROWS, a + r * down, down, right, b + j, inner, first, far);
  }
}

INLINE void forward(float *y, const float *x, const float *w, const float *bias) {
  static float columns[n * n] __attribute__((aligned(64))); /* Wᵀ */
  for (int i = 0; i < n; i += LANES)
    for (int j = 0; j < n; j += LANES) {
      vector r[LANES];
      UNROLLED for (int k = 0; k < LANES; k++) r[k] = load(w + (i + k) * n + j);
      transpose(r);
      UNROLLED for (int k = 0; k < LANES; k++) store(columns + (j + k) * n + i, r[k]);
    }
  product(y, batch, x, n, 1, columns, n, bias, 0);
  for (int k = 0; k < size; k += LANES) store(y + k, hyperbolic_tangent(load(y + k)));
}

/* dW = μᵀ X, db = Σ μ, λ ← μ W with μ = λ ∘ (1 − Y²). */
INLINE void backward(float *dw, float *db, float *adjoint, const float *x, const float *y,
                     const float *w, int far) {
  static float mu[size] __attribute__((aligned(64)));
  vector total[vectors] = {};
  for (int b = 0; b < batch; b++)
    UNROLLED for (int v = 0; v < vectors; v++) {
      int k = b * n + v * LANES;
      vector m = load(adjoint + k) * (1 - load(y + k) * load(y + k));
      store(mu + k, m);
      total[v] += m;
    }
  UNROLLED for (int v = 0; v < vectors; v++) store(db + v * LANES, total[v]);
  product(dw, n, mu, 1, n, x, batch, 0, far);
  product(adjoint, batch, mu, n, 1, w, n, 0, 0);
}

#else /* one example: W x by dot products, eight at a time */

INLINE void forward(float *y, const float *x, const float *w, const float *bias) {
  for (int i = 0; i < n; i += LANES) {
    vector sum[LANES] = {};
    UNROLLED for (int v = 0; v < vectors; v++)
      UNROLLED for (int k = 0; k < LANES; k++)
        sum[k] += load(w + (i + k) * n + v * LANES) * load(x + v * LANES);
    store(y + i, hyperbolic_tangent(load(bias + i) + sums(sum)));
  }
}

INLINE void backward(float *dw, float *db, float *adjoint, const float *x, const float *y,
                     const float *w, int far) {
  UNROLLED for (int v = 0; v < vectors; v++) {
    vector h = load(y + v * LANES);
    store(db + v * LANES, load(adjoint + v * LANES) * (1 - h * h));
  }
  vector next[2][vectors] = {}; /* two chains of sums */
  for (int i = 0; i < n; i += 2)
    UNROLLED for (int k = 0; k < 2; k++)
      UNROLLED for (int v = 0; v < vectors; v++) {
        put(dw + (i + k) * n + v * LANES, db[i + k] * load(x + v * LANES), far);
        next[k][v] += db[i + k] * load(w + (i + k) * n + v * LANES);
      }
  UNROLLED for (int v = 0; v < vectors; v++) store(adjoint + v * LANES, next[0][v] + next[1][v]);
}

#endif

/* The states, and λ, stand as the examples do. */
enum { example_step = n, state_step = 1 };

#else /* ---- any other width: the batch innermost ---- */

enum { example_step = 1, state_step = batch };

INLINE void forward(float *restrict y, const float *restrict x, const float *restrict w,
                    const float *restrict bias) {
  for (int i = 0; i < n; i++) {
    float z[batch];
    for (int b = 0; b < batch; b++) z[b] = bias[i];
    for (int j = 0; j < n; j++)
      for (int b = 0; b < batch; b++) z[b] += w[i * n + j] * x[j * batch + b];
    for (int b = 0; b < batch; b++) {
      float c = z[b] > END ? END : z[b] < -END ? -END : z[b], s = c * c;
      y[i * batch + b] = TANH(c, s);
    }
  }
}

INLINE void backward(float *restrict dw, float *restrict db, float *restrict adjoint,
                     const float *restrict x, const float *restrict y, const float *restrict w,
                     int far) {
  (void)far;
  float mu[size], next[size];
  for (int k = 0; k < size; k++) mu[k] = adjoint[k] * (1 - y[k] * y[k]), next[k] = 0;
  for (int i = 0; i < n; i++) {
    float total = 0;
    for (int b = 0; b < batch; b++) total += mu[i * batch + b];
    db[i] = total;
    for (int j = 0; j < n; j++) {
      float dot = 0;
      for (int b = 0; b < batch; b++) {
        dot += mu[i * batch + b] * x[j * batch + b];
        next[j * batch + b] += w[i * n + j] * mu[i * batch + b];
      }
      dw[i * n + j] = dot;
    }
  }
  for (int k = 0; k < size; k++) adjoint[k] = next[k];
}

#endif

INLINE void walk_back(long depth, const float *w, float *adjoint, const float *states, float *dw,
                      float *db, int far) {
  for (long l = depth - 1; l >= 0; l--)
    backward(dw + l * n * n, db + l * n, adjoint, states + l * size, states + (l + 1) * size,
             w + l * n * n, far);
}

enum { FAR = 1 << 21 }; /* weights, eight megabytes */

/* x and y are (batch, n), one example a row; w is (depth, n, n) with W[l, i, j] from j to i; b is
   (depth, n). */
void gradient(long depth, const float *w, const float *b, const float *x, const float *y,
              float *states, float *dw, float *db) {
  static float adjoint[size] __attribute__((aligned(64)));
  for (int e = 0; e < batch; e++)
    for (int i = 0; i < n; i++) states[e * example_step + i * state_step] = x[e * n + i];
  for (long l = 0; l < depth; l++)
    forward(states + (l + 1) * size, states + l * size, w + l * n * n, b + l * n);
  for (int e = 0; e < batch; e++)
    for (int i = 0; i < n; i++) {
      int k = e * example_step + i * state_step;
      adjoint[k] = 2.0f / size * (states[depth * size + k] - y[e * n + i]);
    }
  if (depth * n * n > FAR) walk_back(depth, w, adjoint, states, dw, db, 1);
  else walk_back(depth, w, adjoint, states, dw, db, 0);
}
