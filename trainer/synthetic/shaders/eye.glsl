// The eyeball, drawn in its own rest frame so that everything turns with the gaze.
uniform vec3 iris_colour;
uniform float iris_size;
uniform vec3 eye_centre;

vec3 eye_colour(vec3 p, out float shine) {
    vec3 d = normalize(vec3(abs(p.x), p.yz) - eye_centre);
    float a = acos(clamp(d.z, -1.0, 1.0)) / iris_size;
    float turn = atan(d.y, d.x);
    vec3 white = mix(vec3(0.95, 0.94, 0.92), vec3(0.86, 0.70, 0.66), smoothstep(1.6, 3.2, a));
    float rays = noise(vec3(turn * 9.0, a * 3.0, sign(p.x) + 4.0));
    vec3 iris = iris_colour * mix(1.35, 0.75, smoothstep(0.35, 0.95, a)) * (0.75 + 0.5 * rays);
    iris = mix(iris, iris_colour * 0.25, smoothstep(0.80, 1.0, a));
    vec3 colour = mix(iris, white, smoothstep(0.96, 1.06, a));
    colour = mix(vec3(0.015), colour, smoothstep(0.36, 0.44, a));
    vec2 glint = d.xy * vec2(sign(p.x), 1.0) - vec2(0.15, 0.20);
    shine = 1.0 - smoothstep(0.075, 0.105, length(glint));
    return colour;
}
