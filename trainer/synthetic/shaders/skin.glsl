// Skin, lips, brows and lash lines as functions of the rest position (head units, mirrored in x).
uniform vec3 brow_colour;
uniform vec3 lip_colour;
uniform float brow_width;
uniform float lid_shade;

float brow_amount(vec3 p) {
    float x = abs(p.x);
    float t = clamp((x - 0.040) / 0.165, 0.0, 1.0);
    float centre = 0.083 + 0.062 * t - 0.058 * t * t;
    float wide = brow_width * mix(1.0, 0.35, smoothstep(0.35, 1.0, t));
    float hairs = noise(vec3(p.x * 260.0 - p.y * 160.0 * sign(p.x), p.y * 90.0, 1.0));
    float across = abs(p.y - centre) / (wide * (0.85 + 0.35 * hairs));
    float ends = smoothstep(0.030, 0.048, x) * (1.0 - smoothstep(0.190, 0.212, x));
    return ends * (1.0 - smoothstep(0.65, 1.05, across)) * step(0.3, p.z);
}

float upper_lid(float x) {
    float d = x - 0.128;
    return 0.0600 - (d > 0.0 ? 6.7 : 9.9) * d * d;
}

float lower_lid(float x) {
    float d = x - 0.128;
    return 0.0145 + (d > 0.0 ? 7.8 : 5.1) * d * d;
}

vec3 skin_colour(vec3 p, float lips, bool is_lid) {
    float x = abs(p.x);
    vec3 m = vec3(x, p.yz);
    vec3 colour = vec3(0.875, 0.690, 0.590);
    colour *= 0.985 + 0.03 * noise(p * 45.0);
    colour = mix(colour, vec3(0.86, 0.53, 0.47), 0.50 * spot(m, vec3(0.165, -0.115, 0.35), 0.095));
    colour = mix(colour, vec3(0.85, 0.52, 0.46), 0.45 * spot(m, vec3(0.0, -0.115, 0.475), 0.055));
    colour = mix(colour, vec3(0.84, 0.52, 0.46), 0.45 * smoothstep(0.305, 0.35, x));
    float freckle = smoothstep(0.80, 0.88, noise(p * vec3(150.0, 150.0, 90.0)));
    float where = max(spot(m, vec3(0.12, -0.075, 0.38), 0.08), spot(m, vec3(0.0, -0.06, 0.45), 0.05));
    colour = mix(colour, vec3(0.66, 0.43, 0.33), 0.40 * freckle * where);
    float nostril = length((m - vec3(0.027, -0.153, 0.432)) / vec3(0.014, 0.012, 0.022));
    colour = mix(colour, vec3(0.25, 0.11, 0.09), 0.9 * (1.0 - smoothstep(0.6, 1.15, nostril)));
    float red = smoothstep(0.25, 0.70, lips);
    float parted = abs(p.y + 0.2515 + 0.1 * x * x) / 0.0045;
    vec3 lip = mix(lip_colour, lip_colour * 0.45, exp(-parted * parted) * step(x, 0.1));
    lip *= 0.94 + 0.10 * noise(vec3(p.x * 260.0, p.y * 40.0, 2.0));
    colour = mix(colour, lip, red);
    float in_lids = smoothstep(0.062, 0.085, x) * (1.0 - smoothstep(0.185, 0.205, x));
    if (is_lid || p.z > 0.30) {
        float over = p.y - upper_lid(x);
        float lash = 1.0 - smoothstep(0.006, 0.012, abs(over - 0.002));
        float crease = exp(-pow((over - 0.030) / 0.006, 2.0));
        float below = 1.0 - smoothstep(0.003, 0.007, abs(p.y - lower_lid(x)));
        float shadow = exp(-pow((over - 0.014) / 0.016, 2.0));
        float near_eye = in_lids * step(0.29, p.z) * step(-0.02, p.y);
        colour = mix(colour, colour * vec3(0.80, 0.70, 0.68), near_eye * max(crease * 0.8, shadow * lid_shade));
        colour = mix(colour, vec3(0.13, 0.075, 0.06), near_eye * lash * 0.95);
        colour = mix(colour, vec3(0.45, 0.25, 0.21), near_eye * below * 0.6);
    }
    return mix(colour, brow_colour, 0.93 * brow_amount(p));
}
