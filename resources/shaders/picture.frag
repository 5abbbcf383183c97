#version 330 core
// The head's picture (premultiplied) before a gradient, a plain colour or a checker.
in vec2 place;
out vec4 colour;

uniform sampler2D picture;
uniform bool has_picture;
uniform bool checker;
uniform vec3 first_colour;
uniform vec3 second_colour;
uniform vec2 size_px;
uniform float checker_px;
uniform float gradient_reach;

// As export/display.py has it for pictures and films.
vec3 background() {
    if (checker) {
        vec2 cell = floor(place * size_px / checker_px);
        return mod(cell.x + cell.y, 2.0) < 1.0 ? first_colour : second_colour;
    }
    vec2 away = (place - 0.5) * vec2(size_px.x / size_px.y, 1.0);
    return mix(first_colour, second_colour, smoothstep(0.0, gradient_reach, length(away)));
}

void main() {
    // Rows of the picture run downwards.
    vec4 head = has_picture ? texture(picture, vec2(place.x, 1.0 - place.y)) : vec4(0.0);
    vec3 behind = background();
    // Half a grey level of noise hides the bands of a slow gradient.
    float noise = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;
    colour = vec4(head.rgb + (1.0 - head.a) * (behind + noise / 255.0), 1.0);
}
