// Hair, hats, frames and cloth, drawn from (azimuth, length) along each surface.
uniform vec3 hair_colour;
uniform vec3 hat_colour;

// Single strands at the hairline instead of a hard edge.
bool between_strands(vec3 s, vec3 p, int style) {
    if (style == 1) return false;
    float strands = noise(vec3(s.x * 110.0 + noise(p * 20.0) * 3.0, s.y * 6.0, 5.0));
    return s.z < 0.045 * strands;
}

vec3 strand_colour(vec2 s, vec3 p, int style) {
    if (style == 1) {
        float curl = noise(p * 38.0) * 0.6 + noise(p * 85.0) * 0.4;
        return hair_colour * (0.35 + 1.4 * curl);
    }
    float bend = noise(p * 9.0) * 2.0;
    float fine = noise(vec3(s.x * 70.0 + bend, s.y * 5.0, 1.0));
    float broad = noise(vec3(s.x * 22.0 + bend, s.y * 3.0, 2.0));
    return hair_colour * (0.55 + 0.55 * fine + 0.35 * broad);
}

vec3 piece_colour(vec2 s, vec3 p, int style) {
    if (style <= 2) return strand_colour(s, p, style);
    if (style == 3) {
        bool band = s.y < 0.13;
        float rib = 0.5 + 0.5 * cos(s.x * (band ? 60.0 : 44.0));
        float row = 0.5 + 0.5 * cos(s.y * 150.0);
        float seam = smoothstep(0.0, 0.008, abs(s.y - 0.13));
        return hat_colour * (0.68 + 0.26 * rib + 0.06 * row) * mix(0.6, 1.0, seam) * (band ? 1.12 : 1.0);
    }
    if (style == 4) {
        float panel = smoothstep(0.0, 0.02, abs(fract(s.x * 6.0 / 6.2832 + 0.5) - 0.5));
        return hat_colour * (0.93 + 0.08 * noise(p * 160.0)) * mix(0.72, 1.0, panel);
    }
    if (style == 5) return vec3(0.10, 0.085, 0.08);
    return vec3(0.36, 0.42, 0.50) * (0.95 + 0.06 * noise(p * 120.0));
}
